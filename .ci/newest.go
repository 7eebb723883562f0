// Newest prints the folder of the newest PostgreSQL that this version of Redoubt knows, which it downloads unless it has it already.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	bin, err := newest(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		if e := new(postgres.Error); errors.As(err, &e) {
			fmt.Fprintln(os.Stderr, e.Hint())
		}
		os.Exit(1)
	}
	fmt.Println(bin)
}

func newest(ctx context.Context) (string, error) {
	cache := "/var/cache/redoubt" // root's own folders are closed to the account that the server then runs as
	if os.Geteuid() != 0 {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding a folder for downloads: %w", err)
		}
		cache = filepath.Join(dir, "redoubt")
	}
	b, err := postgres.Find(ctx, postgres.FindConfig{CacheDir: cache, Pinned: true, Say: func(words string) { fmt.Fprintln(os.Stderr, words) }})
	return b.Bin, err
}
