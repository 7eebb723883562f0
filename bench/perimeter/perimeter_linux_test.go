package perimeter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the servers that it measures.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "server" {
		if err := Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// tiny is everything, as little of it as there can be.
func tiny(t *testing.T, only ...string) Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{Server: []string{self, "server"}, Only: only, Rounds: 1, Duration: 60 * time.Millisecond, Connections: []int{1, busy}, Bulk: 1 << 20,
		RoundTrip: 10 * time.Millisecond, Far: 1 << 20, Readers: 2, Events: 5, Say: func(text string) { t.Log(text) }}
}

// nothingLeft fails if a folder of this process's measurements is there in the end.
func nothingLeft(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("redoubt-hop-%d-*", os.Getpid()))); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	})
}

// Nothing is asserted about time, but that some has passed: what is tested is that everybody is asked and answers, in every way.
func TestEveryContenderIsMeasured(t *testing.T) { // SYSTEM P1 P6
	nothingLeft(t)
	for name, c := range map[string]struct {
		tables     int
		contenders []string
	}{
		"requests": {2, []string{direct, proxy, inverted, inside, apart, signed}},
		"bulk":     {1, []string{direct, proxy, inverted, inside, apart}},
		"far":      {1, []string{proxy, inverted, inside, apart}},
		"slow":     {1, []string{proxy, inverted, inside, apart}},
		"events":   {1, []string{direct, proxy, inverted, inside, apart}},
		"restart":  {1, []string{connectors, edges, edges2}},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := Run(t.Context(), tiny(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Tables) != c.tables {
				t.Fatalf("got %d tables, want %d", len(result.Tables), c.tables)
			}
			for _, table := range result.Tables {
				plausible(t, &table, c.contenders)
			}
			var out strings.Builder
			result.Print(&out)
			t.Log(out.String())
		})
	}
}

// plausible holds a table to what must be so on any machine.
func plausible(t *testing.T, table *Table, contenders []string) {
	t.Helper()
	for i, r := range table.Rows {
		if !slices.Equal([]string{r.Contender}, contenders[i:i+1]) || len(r.Samples) != 1 {
			t.Fatalf("%s: row %d is of %s with %d samples, want %v with one", table.Title, i, r.Contender, len(r.Samples), contenders)
		}
		s := r.Samples[0]
		for column, v := range s {
			positive := !strings.Contains(column, "grows") && !strings.Contains(column, "µs") && column != failures && column != unanswered && !strings.Contains(column, "CPU")
			if math.IsNaN(v) || math.IsInf(v, 0) || positive && v <= 0 {
				t.Errorf("%s: %s: %s is %v", table.Title, r.Contender, column, v)
			}
		}
		for _, column := range table.Columns {
			if _, there := s[column]; !there && !strings.Contains(column, "connector") && !strings.Contains(column, "edge") {
				t.Errorf("%s: %s has no %s", table.Title, r.Contender, column)
			}
		}
		if s[p99] < s[p50] || s[failures] > s[answered] || s[unanswered] > s[failures] || s[failures] > 0 {
			t.Errorf("%s: %s does not add up: %v", table.Title, r.Contender, s)
		}
	}
	if len(table.Rows) != len(contenders) {
		t.Errorf("%s: %d rows, want %d", table.Title, len(table.Rows), len(contenders))
	}
}

func TestProfilesAreWritten(t *testing.T) {
	nothingLeft(t)
	cfg := tiny(t, "bulk")
	cfg.Profiles = filepath.Join(t.TempDir(), "profiles")
	if _, err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{directServer, originServer, proxyServer, outerServer, innerServer, edgeServer, appServer, joinServer} {
		files, _ := filepath.Glob(filepath.Join(cfg.Profiles, server+"-*.pprof"))
		if len(files) == 0 {
			t.Errorf("%s has written no profile", server)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err != nil || info.Size() == 0 {
				t.Errorf("%s is empty (%v)", f, err)
			}
		}
	}
}

func TestAnInterruptedMeasurementLeavesNothing(t *testing.T) {
	for _, moment := range []string{"starting the application", "Small requests"} {
		t.Run(moment, func(t *testing.T) {
			nothingLeft(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg := tiny(t, "requests")
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
	cfg := tiny(t)
	cfg.Server = []string{"/bin/false"}
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "starting direct") {
		t.Errorf("got error %v, want one that names the server", err)
	}
}

func TestAServerWithoutATaskSaysWhoStartsIt(t *testing.T) {
	for _, task := range []string{"", "{", `{"server":"teapot"}`} {
		if err := Serve(t.Context(), strings.NewReader(task), new(strings.Builder)); err == nil {
			t.Errorf("%q: it serves", task)
		}
	}
}

func TestAConfigSaysEverythingThatIsWrong(t *testing.T) {
	_, err := Run(t.Context(), Config{Only: []string{"tea"}, Rounds: -1, Duration: MaxDuration + 1, Connections: []int{MaxConnections + 1}, Bulk: -1,
		RoundTrip: MaxRoundTrip + 1, Readers: MaxReaders + 1, Events: MaxEvents + 1})
	if err == nil {
		t.Fatal("an impossible configuration was taken")
	}
	for _, want := range []string{"Server", `"tea"`, "rounds", "duration", "connections", "transfer", "round trip", "slow readers", "events"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %s", err, want)
		}
	}
}
