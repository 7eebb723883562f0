package bench

import (
	"os"
	"testing"
	"time"
)

func TestProcessTimesAreRead(t *testing.T) {
	const times = " S 7 42 42 0 -1 4194560 181458 36543515 0 4014 552 2089 125038 44777 20 0 14 0 31"
	for name, c := range map[string]struct {
		text        string
		pid, parent int
		spent       time.Duration
		ok          bool
	}{
		"a plain name":              {"42 (postgres)" + times, 42, 7, 26410 * time.Millisecond, true},
		"a name with spaces":        {"42 (postgres: plain_app idle)" + times, 42, 7, 26410 * time.Millisecond, true},
		"a name with a parenthesis": {"42 (x) R 9 (y)" + times, 42, 7, 26410 * time.Millisecond, true},
		"nothing":                   {"", 0, 0, 0, false},
		"half a line":               {"42 (postgres) S 7 42", 0, 0, 0, false},
		"no numbers":                {"x (postgres)" + times, 0, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			pid, parent, spent, ok := parseStat(c.text)
			if pid != c.pid || parent != c.parent || spent != c.spent || ok != c.ok {
				t.Errorf("got %d of %d, %v, %v; want %d of %d, %v, %v", pid, parent, spent, ok, c.pid, c.parent, c.spent, c.ok)
			}
		})
	}
}

func TestOurOwnProcessIsFound(t *testing.T) {
	if _, found := childrenOf(os.Getpid())[os.Getpid()]; !found {
		t.Error("this process is not among those of its id")
	}
	if u := ownUsage(); u.CPU <= 0 || u.Memory < 1<<20 {
		t.Errorf("got %+v", u)
	}
}

func TestAProcessRunsForSomeTime(t *testing.T) {
	before, err := ranFor(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for began := ownUsage().CPU; ownUsage().CPU < began+20*time.Millisecond; {
	}
	after, err := ranFor(os.Getpid())
	if err != nil || before < 0 || after < before {
		t.Errorf("got %v, then %v (%v)", before, after, err)
	}
	if _, err := ranFor(0); err == nil {
		t.Error("a process that does not exist has run")
	}
}

func FuzzStat(f *testing.F) {
	f.Add("42 (postgres) S 7 42 42 0 -1 4194560 181458 36543515 0 4014 552 2089 125038 44777 20 0 14 0 31")
	f.Add("1 (a) b) S 0")
	f.Fuzz(func(t *testing.T, text string) {
		if pid, parent, _, ok := parseStat(text); ok && (pid < 0 || parent < 0) {
			t.Errorf("%q: negative ids %d of %d", text, pid, parent)
		}
	})
}
