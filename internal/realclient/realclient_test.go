package realclient

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A listener is a test that says how it ends.
type listener struct {
	testing.TB
	end string
}

func (l *listener) Helper() {}

func (l *listener) Skipf(format string, args ...any) { l.stop("skipped: ", format, args) }

func (l *listener) Fatalf(format string, args ...any) { l.stop("failed: ", format, args) }

func (l *listener) stop(how, format string, args []any) {
	l.end = how + fmt.Sprintf(format, args...)
	panic(l)
}

func TestAMissingInstallationIsNotPassedOverInSilence(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for ci, want := range map[string]string{"": "skipped: ", "true": "failed: "} {
		t.Setenv("CI", ci)
		l := &listener{}
		func() {
			defer func() { recover() }()
			Suite(l)
		}()
		if !strings.HasPrefix(l.end, want) || !strings.Contains(l.end, Command) {
			t.Errorf("CI=%q: got %q, want it to be %sand to name the command", ci, l.end, want)
		}
	}
}

func TestWhatIsPinnedNamesThePlace(t *testing.T) {
	one, err := Place()
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := Place(); one != again {
		t.Errorf("got %s, then %s", one, again)
	}
	lock, err := pinned.ReadFile("pinned/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if packages, digests := strings.Count(string(lock), `"version"`)-2, strings.Count(string(lock), `"integrity": "sha512-`); packages != digests || digests == 0 {
		t.Errorf("got %d digests of %d packages", digests, packages)
	}
	sum, err := pinned.ReadFile("pinned/suite.sum")
	if err != nil || !bytes.Contains(sum, []byte(suiteModule+" v")) {
		t.Errorf("the suite's module has no digest: %v", err)
	}
}

func TestWhatIsInstalledIsWhole(t *testing.T) {
	for _, path := range []string{
		filepath.Join(Suite(t), "additionalProperties.json"), filepath.Join(Suite(t), "optional", "format", "uuid.json"),
		filepath.Join(OpenAPISchema(t), "schema.json"), filepath.Join(OpenAPISchema(t), "dialect", "base.schema.json"),
	} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
