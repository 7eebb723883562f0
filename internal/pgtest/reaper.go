package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

const (
	reaperEnv   = "REDOUBT_PGTEST_REAPER"   // the folder; set in the reaper alone
	binariesEnv = "REDOUBT_PGTEST_BINARIES" // what the starter found

	grace = 2 * time.Second // how long the server outlives its last user: the next package may be about to start
)

// reap is the whole life of the reaper: it starts the server, waits until nobody uses it, stops it and removes the folder.
func reap(dir string) int {
	// Its starter's terminal and process group are not its own, but somebody may still ask it to end.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, dir); err != nil {
		os.WriteFile(filepath.Join(dir, errorFile), []byte(err.Error()), 0o600) // if not even this works the starter says so
		return 1
	}
	return 0
}

func serve(ctx context.Context, dir string) error {
	life, err := os.OpenFile(filepath.Join(dir, lifeLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer life.Close()
	if !try(life, syscall.LOCK_EX) {
		return errors.New("another reaper lives")
	}
	cluster, password, err := startServer(ctx, dir)
	if err != nil {
		return err
	}
	if err := announce(dir, server{Socket: cluster.Socket(), Password: password}); err != nil {
		return errors.Join(err, end(cluster))
	}
	return watch(ctx, dir, cluster)
}

func startServer(ctx context.Context, dir string) (*postgres.Cluster, string, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var binaries postgres.Binaries
	if err := json.Unmarshal([]byte(os.Getenv(binariesEnv)), &binaries); err != nil {
		return nil, "", err
	}
	password := rand.Text()
	cluster, err := postgres.Start(ctx, postgres.Config{
		Binaries: binaries,
		Dir:      filepath.Join(dir, "server"),
		Profile:  postgres.Disposable,
		Password: password,
		Settings: map[string]string{"autovacuum": "off", "max_connections": "300"},
	})
	return cluster, password, err
}

// announce says in one step how to reach the server.
func announce(dir string, s server) error {
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temporary := filepath.Join(dir, stateFile+".new")
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(dir, stateFile))
}

// watch waits until nobody has used the server for a while, or until it ends, and clears up.
func watch(ctx context.Context, dir string, cluster *postgres.Cluster) error {
	start, err := os.OpenFile(filepath.Join(dir, startLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return errors.Join(err, end(cluster))
	}
	defer start.Close()
	use, err := os.OpenFile(filepath.Join(dir, useLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return errors.Join(err, end(cluster))
	}
	defer use.Close()
	lastUse := time.Now()
	for {
		select {
		case <-ctx.Done():
			return end(cluster)
		case <-cluster.Done(): // killed; who uses it next finds no reaper and starts anew
			return errors.New("the server ended by itself")
		case <-time.After(100 * time.Millisecond):
		}
		if !idle(use) {
			lastUse = time.Now()
		} else if time.Since(lastUse) > grace && claim(start, use) {
			return errors.Join(end(cluster), os.RemoveAll(dir))
		}
	}
}

func idle(use *os.File) bool {
	free := try(use, syscall.LOCK_EX)
	if free {
		syscall.Flock(int(use.Fd()), syscall.LOCK_UN)
	}
	return free
}

// claim takes both locks, so that nobody uses the server and nobody can begin to, or neither.
func claim(start, use *os.File) bool {
	if !try(start, syscall.LOCK_EX) {
		return false
	}
	if try(use, syscall.LOCK_EX) {
		return true
	}
	syscall.Flock(int(start.Fd()), syscall.LOCK_UN)
	return false
}

func end(cluster *postgres.Cluster) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return cluster.Stop(ctx)
}
