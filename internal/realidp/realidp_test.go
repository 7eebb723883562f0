package realidp

import (
	"fmt"
	"net/http"
	"net/http/httptest"
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

func TestAMissingProviderIsNotPassedOverInSilence(t *testing.T) {
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
	lock, err := pinned.ReadFile("pinned/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if packages, digests := strings.Count(string(lock), `"version"`)-2, strings.Count(string(lock), `"integrity": "sha512-`); packages != digests || digests == 0 {
		t.Errorf("got %d digests of %d packages", digests, packages)
	}
}

func TestABrowserStaysWithItsProvider(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/authorize":
			http.SetCookie(w, &http.Cookie{Name: "seen", Value: "x", HttpOnly: true})
			http.Redirect(w, r, "/form?hint="+r.URL.Query().Get("login_hint"), http.StatusSeeOther)
		case "/form":
			fmt.Fprint(w, `<form method="post" action="/done?a=1&amp;b=2"><input type="hidden" name="x" value="&lt;y&gt;"></form>`)
		case "/done":
			if _, err := r.Cookie("seen"); err != nil || r.FormValue("b") != "2" {
				t.Errorf("got %q, %v", r.FormValue("b"), err)
			}
			http.Redirect(w, r, "https://shop.example/callback?code="+r.PostFormValue("x")+r.PostFormValue("login"), http.StatusSeeOther)
		default:
			http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
		}
	}))
	defer server.Close()
	s := &Server{Issuer: server.URL, sign: signAtDex}
	if got, err := s.NewBrowser().SignIn(t.Context(), server.URL+"/authorize", "alice"); err != nil || got.Get("code") != "<y>alice" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := s.NewBrowser().SignOut(t.Context(), server.URL+"/authorize"); err != nil || !strings.HasPrefix(got, "https://shop.example/") {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := s.NewBrowser().SignIn(t.Context(), server.URL+"/loop", "alice"); err == nil {
		t.Error("a circle led somewhere")
	}
	if s.local(strings.Replace(server.URL, "http://", "http://evil.example@", 1)+"/") || s.local(server.URL+".evil.example/") || !s.local(server.URL+"/x") {
		t.Error("the browser takes another address for its provider's")
	}
}
