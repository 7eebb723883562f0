package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
)

// TestMain lets the test binary be the servers that it measures.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "server" {
		if err := Serve(context.Background(), commons.App, os.Stdin, os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func small(t *testing.T) Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{App: commons.App, Server: []string{self, "server"}, Duration: 100 * time.Millisecond, Connections: 2, Rounds: 1, organizations: 2, perBlock: 3,
		Say: func(text string) { t.Log(text) }}
}

// nothingLeft fails if a folder of this process's measurements is there in the end.
func nothingLeft(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		for _, base := range []string{"/dev/shm", os.TempDir()} {
			if left, _ := filepath.Glob(filepath.Join(base, fmt.Sprintf("redoubt-bench-%d-*", os.Getpid()))); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		}
	})
}

func failed(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var advised interface{ Hint() string }
	if errors.As(err, &advised) {
		t.Fatalf("%v\n%s", err, advised.Hint())
	}
	t.Fatal(err)
}

// SYSTEM D7: what isolation costs is measured against the same questions without it. Every server answers, and the same: Run
// compares the answers byte for byte. Nothing is asserted about time.
func TestEveryServerAnswersTheSame(t *testing.T) {
	nothingLeft(t)
	cfg := small(t)
	cfg.Profiles = t.TempDir()
	result, err := Run(t.Context(), cfg)
	failed(t, err)
	if got := len(result.Tables); got != kinds {
		t.Fatalf("got %d tables, want %d", got, kinds)
	}
	for kind, table := range result.Tables {
		want := 8
		if changes(kind) {
			want = 6
		}
		if got := len(table.Rows); got != want {
			t.Errorf("%s: got %d servers, want %d", table.Question, got, want)
		}
		for _, r := range table.Rows {
			if m := r.Median; m.Requests < 1 || m.P50 <= 0 || m.P99 < m.P50 || m.AppCPU <= 0 || r.ToConventional <= 0 || r.CPUToWhere <= 0 ||
				(m.EdgeCPU > 0) != (r.Server == fullTunnel) || (r.CPUToUnaudited > 0) != changes(kind) {
				t.Errorf("%s: %s measured %+v", table.Question, r.Server, m)
			}
		}
	}
	for _, server := range []string{bareTold, bareSession, conventional, where, whereOnce, whereAudited, full, fullKey, fullTunnel, edgeServer} {
		if info, err := os.Stat(filepath.Join(cfg.Profiles, server+".pprof")); err != nil || info.Size() == 0 {
			t.Errorf("%s has written no profile: %v", server, err)
		}
	}
}

func TestAnInterruptedMeasurementLeavesNothing(t *testing.T) {
	for _, moment := range []string{"starting a database", "starting the servers", "round 1"} {
		t.Run(moment, func(t *testing.T) {
			nothingLeft(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg := small(t)
			cfg.Say = func(text string) {
				if strings.HasPrefix(text, moment) {
					cancel()
				}
			}
			if _, err := Run(ctx, cfg); !errors.Is(err, errInterrupted) {
				t.Errorf("got error %v, want %v", err, errInterrupted)
			}
		})
	}
}

func TestAServerThatCannotStartIsNamed(t *testing.T) {
	nothingLeft(t)
	cfg := small(t)
	cfg.Server = []string{"/bin/false"}
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "starting bare") {
		t.Errorf("got error %v, want one that names the server", err)
	}
}

func TestAConfigSaysEverythingThatIsWrong(t *testing.T) {
	_, err := Run(t.Context(), Config{App: redoubt.App{}, Duration: MaxDuration + 1, Connections: MaxConnections + 1, Rounds: -1})
	if err == nil {
		t.Fatal("an impossible configuration was taken")
	}
	for _, want := range []string{"App", "Server", "duration", "connections", "rounds"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %s", err, want)
		}
	}
}
