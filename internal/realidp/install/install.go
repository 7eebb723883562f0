// Command install fetches and builds the identity providers of package realidp, unless they are there. It needs npm.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/redoubt-dev/redoubt/internal/realidp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := realidp.Install(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "install: error:", err)
		os.Exit(1)
	}
}
