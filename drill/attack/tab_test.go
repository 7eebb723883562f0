package attack_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// TestTabsAreStrangersToEachOther: what one attack leaves in its browser no other finds, and a tab is gone with its attack.
func TestTabsAreStrangersToEachOther(t *testing.T) { // SYSTEM G5
	b := opened(t)
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "once"})
		w.Write([]byte("cookies: " + r.Header.Get("Cookie")))
	}))
	defer site.Close()
	reads := func(tab context.Context) string {
		t.Helper()
		if err := chromedp.Do(tab, chromedp.Navigate(site.URL)); err != nil {
			t.Fatal(err)
		}
		text, err := chromedp.Run(tab, chromedp.Evaluate[string]("document.body.textContent"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ctx, end := context.WithCancel(t.Context())
	one, err := b.Tab(ctx)
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Tab(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tab  context.Context
		want string
	}{{one, "cookies: "}, {one, "cookies: seen=once"}, {two, "cookies: "}} {
		if got := reads(c.tab); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	end()
	select {
	case <-one.Done():
	case <-time.After(10 * time.Second):
		t.Error("the tab outlives its attack")
	}
	if got := reads(two); got != "cookies: seen=once" {
		t.Errorf("the other tab ended with it: %q", got)
	}
}

// TestABrowserSeesThisMachineAlone: a name of elsewhere leads nowhere.
func TestABrowserSeesThisMachineAlone(t *testing.T) {
	tab, err := opened(t).Tab(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tab, 10*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate("https://redoubt.example/")); err == nil || ctx.Err() != nil {
		t.Errorf("got %v", err)
	}
}

// TestABrowserThatCrashesIsStartedOnceMore: the attack that met the crash has failed, and the next one has a browser.
func TestABrowserThatCrashesIsStartedOnceMore(t *testing.T) {
	b := opened(t)
	met, err := b.Tab(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	chromedp.CallBrowser(met, browser.Crash, struct{}{}) // it answers no more
	select {
	case <-met.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody notices the crash")
	}
	tab, err := b.Tab(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := chromedp.Run(tab, chromedp.Evaluate[int]("1 + 2")); err != nil || sum != 3 {
		t.Errorf("got %d, %v", sum, err)
	}
}
