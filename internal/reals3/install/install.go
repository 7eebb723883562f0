// Command install builds the S3 server of package reals3, unless it is there.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/redoubt-dev/redoubt/internal/reals3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := reals3.Install(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "install: error:", err)
		os.Exit(1)
	}
}
