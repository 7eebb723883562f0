package acme_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate/acme"
)

func TestEveryProblemOfTheConfigurationIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := acme.New(acme.Config{
		Hosts: []string{"App.example", "127.0.0.1", "*.app.example", "a..b"}, Directory: "http://ca.example/dir", Email: "nobody",
		DNSWait: -1, Binding: acme.Binding{ID: "x"}, HTTP01: true,
	})
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"host 1", "host 2", "*.app.example needs DNS-01", "host 4", "agreed", "folder", "https", "e-mail", "negative", "binding"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not tell of %q", err, want)
		}
	}
	if _, err = acme.New(acme.Config{}); err == nil || !strings.Contains(err.Error(), "no way to convince") {
		t.Errorf("got %v", err)
	}
	many := make([]string, acme.MaxHosts+1)
	for i := range many {
		many[i] = fmt.Sprintf("h%d.example", i)
	}
	w := newWorld(t)
	config := w.config(many...)
	config.HTTP01 = true
	if _, err := acme.New(config); err == nil {
		t.Errorf("%d hosts are taken", len(many))
	}
	config.Hosts = many[1:]
	if _, err := acme.New(config); err != nil {
		t.Errorf("%d hosts: %v", len(many)-1, err)
	}
}

func TestHostsAndTokensAreNamedStrictly(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a.example": true, "a-b.example": true, "localhost": true, "xn--bcher-kva.example": true, "1.example": true, strings.Repeat("a", 63) + ".b": true,
		"": false, ".": false, "a.": false, ".a": false, "A.example": false, "a_b.example": false, "-a.example": false, "a-.example": false, "a b": false,
		"a/b": false, "../a": false, "*": false, "a.*": false, "127.0.0.1": false, "::1": false, "bücher.example": false, "a.example:443": false,
		strings.Repeat("a", 64) + ".b": false, strings.Repeat("a.", 126) + "a": true, strings.Repeat("a.", 126) + "aa": false, "a\x00b": false,
	} {
		if got := acme.IsHost(name); got != want {
			t.Errorf("host %q: got %t", name, got)
		}
	}
	for token, want := range map[string]bool{
		"abc-_09AZ": true, strings.Repeat("a", 128): true, "": false, strings.Repeat("a", 129): false, "a/b": false, "..": false, "a.b": false, "a=": false, "é": false,
	} {
		if got := acme.IsToken(token); got != want {
			t.Errorf("token %q: got %t", token, got)
		}
	}
}

// The plain port answers an authority that has asked, under the host's own name, and nobody else; all else goes on to where it goes.
func TestThePlainPortAnswersTheAuthorityAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("app.example")
	config.HTTP01 = true
	m, err := acme.New(config)
	if err != nil {
		t.Fatal(err)
	}
	h := m.HTTPHandler(http.RedirectHandler("https://app.example/", http.StatusPermanentRedirect))
	for _, target := range []string{"/", "/.well-known/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/nobody-asked", "/.well-known/acme-challenge/../x",
		"/.well-known/acme-challenge/a/b", "/.well-known/acme-challenge/" + strings.Repeat("a", 5000)} {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://app.example"+target, nil))
		if answer.Code != http.StatusPermanentRedirect {
			t.Errorf("%.60s: got %d", target, answer.Code)
		}
	}
	// Now somebody asks, and others try the same question.
	asked := make(chan string, 64)
	w2 := newWorld(t)
	config = w2.config("app.example")
	config.HTTP01 = true
	m2, err := acme.NewIn(config, quick)
	if err != nil {
		t.Fatal(err)
	}
	answerer := m2.HTTPHandler(http.NotFoundHandler())
	var spy http.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for name, attempt := range map[string]*http.Request{
			"another host":   httptest.NewRequest(http.MethodGet, "http://evil.example"+r.URL.Path, nil),
			"another method": httptest.NewRequest(http.MethodPost, "http://app.example"+r.URL.Path, nil),
			"another token":  httptest.NewRequest(http.MethodGet, "http://app.example"+r.URL.Path+"x", nil),
		} {
			answer := httptest.NewRecorder()
			answerer.ServeHTTP(answer, attempt)
			if answer.Code != http.StatusNotFound {
				t.Errorf("%s: got %d %s", name, answer.Code, answer.Body)
			}
		}
		asked <- r.URL.Path
		answerer.ServeHTTP(rw, r)
	})
	w2.instead.Store(&spy)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m2.Run(ctx) }()
	w2.eventually("there is a certificate", func() bool { return leaf(m2, "app.example") != nil })
	path := <-asked
	// The question is over, and so is the answer.
	answer := httptest.NewRecorder()
	answerer.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://app.example"+path, nil))
	if answer.Code != http.StatusNotFound {
		t.Errorf("afterwards: got %d", answer.Code)
	}
	cancel()
	<-done
}

func TestAProgramChangesTheDNS(t *testing.T) { // SYSTEM P2
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "dns")
	script := "#!/bin/sh\nprintf '%s|%s|%s|%s|%s\\n' \"$1\" \"$2\" \"$3\" \"$#\" \"${SECRET_OF_THE_EDGE-unset}\" >>'" + dir + "/said'\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	e := acme.Exec{Program: program}
	if err := e.Present(t.Context(), "_acme-challenge.a.example", "$(id)`id`; x"); err != nil {
		t.Fatal(err)
	}
	if err := e.CleanUp(t.Context(), "_acme-challenge.a.example", "v"); err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(filepath.Join(dir, "said"))
	want := "present|_acme-challenge.a.example|$(id)`id`; x|3|unset\ncleanup|_acme-challenge.a.example|v|3|unset\n"
	if err != nil || string(said) != want {
		t.Errorf("got %q, %v; want %q", said, err, want)
	}
}

func TestAProgramGetsTheVariablesThatAreNamedAndNoOther(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REDOUBT_TEST_TOKEN", "for-the-provider")
	t.Setenv("REDOUBT_TEST_SECRET", "not-its-business")
	program := filepath.Join(dir, "dns")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nenv >'"+dir+"/env'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (acme.Exec{Program: program, Env: []string{"REDOUBT_TEST_TOKEN"}}).Present(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil || !strings.Contains(string(env), "REDOUBT_TEST_TOKEN=for-the-provider") || strings.Contains(string(env), "not-its-business") {
		t.Errorf("got %s, %v", env, err)
	}
}

func TestAProgramThatFailsOrHangsIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "dns")
	write := func(script string) {
		t.Helper()
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("yes the zone is locked | head -c 1000000 >&2; echo; echo 'the last word' >&2; exit 3\n")
	err := acme.Exec{Program: program}.Present(t.Context(), "a", "b")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "the last word") || len(err.Error()) > 1024 {
		t.Errorf("got %v", err)
	}
	write("exec sleep 60\n")
	begun := time.Now()
	if err := (acme.Exec{Program: program, Timeout: 100 * time.Millisecond}).Present(t.Context(), "a", "b"); err == nil || time.Since(begun) > 5*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begun))
	}
	// Nor may what it has started hold us up.
	write("sleep 60 & sleep 60\n")
	begun = time.Now()
	if err := (acme.Exec{Program: program, Timeout: 100 * time.Millisecond}).Present(t.Context(), "a", "b"); err == nil || time.Since(begun) > 5*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begun))
	}
	if err := (acme.Exec{Program: "dns"}).Present(t.Context(), "a", "b"); err == nil {
		t.Error("a program is looked for in the PATH")
	}
}

func TestADNSThatFailsCostsTheOrderAndIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := w.config("app.example")
	config.DNS01 = acme.Exec{Program: filepath.Join(t.TempDir(), "missing")}
	m, _ := w.run(config, acme.Times{Soon: time.Hour})
	w.eventually("it is told", func() bool { return strings.Contains(m.Status()[0].Problem, "adding a DNS record") })
}
