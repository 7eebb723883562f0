// Command install fetches what package realclient holds for tests, unless it is there. It needs npm.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/redoubt-dev/redoubt/internal/realclient"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := realclient.Install(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "install: error:", err)
		os.Exit(1)
	}
}
