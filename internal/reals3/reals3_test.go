package reals3

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A listener is a test that only notes how it would have ended.
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

func TestAMissingServerIsNotPassedOverInSilence(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for ci, want := range map[string]string{"": "skipped: ", "true": "failed: "} {
		t.Setenv("CI", ci)
		l := &listener{}
		func() {
			defer func() { recover() }()
			find(l)
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
	mod, err := pinned.ReadFile("pinned/versitygw.mod")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := pinned.ReadFile("pinned/versitygw.sum")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		if fields := strings.Fields(strings.TrimPrefix(line, "require ")); len(fields) > 1 && strings.HasPrefix(fields[1], "v") &&
			!strings.Contains(string(sum), fields[0]+" "+fields[1]+" h1:") {
			t.Errorf("there is no digest of %s", line)
		}
	}
}

func TestEachServerHasKeysOfItsOwnAndAsksForThem(t *testing.T) {
	one, two := Start(t, Config{}), Start(t, Config{})
	if one.AccessKey == two.AccessKey || one.SecretKey == two.SecretKey || one.Endpoint == two.Endpoint {
		t.Error("two servers are one")
	}
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+one.Endpoint+"/"+one.Bucket+"/x", strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s without a key: got %d", method, resp.StatusCode)
		}
	}
	one.Stop()
	if resp, err := http.Get("http://" + one.Endpoint + "/alive"); err == nil {
		resp.Body.Close()
		t.Error("it answers after it was stopped")
	}
}
