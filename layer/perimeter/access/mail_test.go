package access_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

func TestAPersonSignsOnByMail(t *testing.T) { // SYSTEM P4
	w := newWorld(t)
	b := w.browser(w.gate(), "")
	link := b.mailedLink(" Bob@ACME.test ")
	if strings.Contains(w.log.String(), link[len(link)-20:]) {
		t.Error("the log has the secret")
	}
	p := b.get(link)
	if !strings.Contains(p.text, "bob@acme.test") {
		t.Fatalf("the page to confirm: %d %s", p.StatusCode, p.text)
	}
	p = b.press(p, "/.redoubt/link", nil)
	who := b.gone.Who
	if b.passed == nil || p.at != wiki+"/docs/a" || who.By != assertion.ByMail || who.Email != "bob@acme.test" || who.Subject != who.Email || who.Provider != "" || who.Groups != nil {
		t.Fatalf("got %d at %s: %+v\n%s", p.StatusCode, p.at, who, w.log)
	}
	if b.get(wiki + "/x"); b.passed != nil {
		t.Error("let in where no policy lets Bob in")
	}
	if entries, _ := os.ReadDir(filepath.Join(w.folder.Path(), "links")); len(entries) != 0 {
		t.Errorf("%d links stay", len(entries))
	}
	if _, there := b.jar["wiki.example"]["__Host-redoubt-edge-mail"]; there {
		t.Error("the nonce stays")
	}
}

func (b *browser) confirm(link string) bool {
	b.t.Helper()
	p := b.get(link)
	if p.StatusCode != http.StatusOK {
		return false
	}
	b.press(p, "/.redoubt/link", nil)
	return b.passed != nil
}

// A scanner opens the link, as often as it likes and from wherever it is: nothing is used up.
func TestAScannerOpensTheLink(t *testing.T) { // SYSTEM P4
	w := newWorld(t)
	g := w.gate()
	b := w.browser(g, "")
	link := b.mailedLink("bob@acme.test")
	for range 10 {
		for _, method := range []string{"GET", "HEAD"} {
			scanner := w.browser(g, "")
			if p := scanner.send(scanner.request(method, link, nil)); p.StatusCode != http.StatusBadRequest || strings.Contains(p.text, "bob@") {
				t.Errorf("%s: the scanner gets %d %s", method, p.StatusCode, p.text)
			}
		}
	}
	scanner := w.browser(g, "")
	scanner.jar = b.jar // one in the very browser
	for range 10 {
		if p := scanner.once(link); p.StatusCode != http.StatusOK {
			t.Errorf("in the same browser: %d", p.StatusCode)
		}
	}
	if !b.confirm(link) {
		t.Error("it does not work any more")
	}
}

func TestALinkThatCountsNowhere(t *testing.T) { // SYSTEM P4
	for attack, act := range map[string]func(t *testing.T, w *world, b *browser, link string) bool{
		"a second time": func(t *testing.T, _ *world, b *browser, link string) bool {
			if !b.confirm(link) {
				t.Error("not the first time")
			}
			delete(b.jar["wiki.example"], edgeCookie)
			return b.confirm(link)
		},
		"in another browser": func(t *testing.T, w *world, b *browser, link string) bool {
			other := w.browser(b.gate, "")
			p := other.get(link)
			if p.StatusCode != http.StatusBadRequest || !strings.Contains(p.text, "in the browser alone in which it was asked for") {
				t.Errorf("the other browser sees %d %s", p.StatusCode, p.text)
			}
			form := other.get(wiki + "/.redoubt/sign-on")
			other.press(form, "/.redoubt/link", url.Values{"k": {strings.Split(link, "k=")[1]}})
			if !b.confirm(link) {
				t.Error("it was used up by that")
			}
			return other.letInDocs()
		},
		"in another browser, which asked for one of its own": func(_ *testing.T, w *world, b *browser, link string) bool {
			other := w.browser(b.gate, "")
			other.mailedLink("bob@acme.test")
			return other.confirm(link)
		},
		"after ten minutes": func(_ *testing.T, w *world, b *browser, link string) bool {
			w.clock.pass(10*time.Minute + time.Second)
			return b.confirm(link)
		},
		"after ten minutes, in a browser that asked again": func(_ *testing.T, w *world, b *browser, link string) bool {
			w.clock.pass(9 * time.Minute)
			b.mailedLink("bob@acme.test")
			w.clock.pass(2 * time.Minute)
			return b.confirm(link)
		},
		"another secret": func(_ *testing.T, _ *world, b *browser, link string) bool {
			return b.confirm(link[:len(link)-26] + link[len(link)-25:] + "A")
		},
		"a longer secret": func(_ *testing.T, _ *world, b *browser, link string) bool { return b.confirm(link + "A") },
		"no secret": func(_ *testing.T, _ *world, b *browser, link string) bool {
			return b.confirm(strings.Split(link, "k=")[0])
		},
		"two secrets": func(_ *testing.T, _ *world, b *browser, link string) bool { return b.confirm(link + "&k=x") },
		"at another host": func(_ *testing.T, _ *world, b *browser, link string) bool {
			b.jar["shop.example"] = b.jar["wiki.example"]
			return b.confirm(strings.Replace(link, "wiki.", "shop.", 1))
		},
		"by a form of another site": func(_ *testing.T, _ *world, b *browser, link string) bool {
			p := b.get(link)
			form := url.Values{}
			for _, m := range hidden.FindAllStringSubmatch(p.text, -1) {
				form.Set(m[1], m[2])
			}
			r := b.request("POST", wiki+"/.redoubt/link", form)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", "https://evil.example")
			return b.send(r).StatusCode == http.StatusOK
		},
		"by reading the folder": func(_ *testing.T, w *world, b *browser, _ string) bool {
			entries, _ := os.ReadDir(filepath.Join(w.folder.Path(), "links"))
			return b.confirm(wiki + "/.redoubt/link?k=" + entries[0].Name()[:52])
		},
	} {
		t.Run(attack, func(t *testing.T) {
			w := newWorld(t)
			b := w.browser(w.gate(), "")
			link := b.mailedLink("bob@acme.test")
			if act(t, w, b, link) {
				t.Error("let in")
			}
		})
	}
}

func (b *browser) letInDocs() bool { b.once(wiki + "/docs/x"); return b.passed != nil }

func TestTwentyConfirmAtOnce(t *testing.T) { // SYSTEM P4
	w := newWorld(t)
	b := w.browser(w.gate(), "")
	link := b.mailedLink("bob@acme.test")
	p := b.get(link)
	var in atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		other := w.browser(w.gate(), "")
		other.jar = map[string]map[string]string{"wiki.example": {}}
		for name, value := range b.jar["wiki.example"] {
			other.jar["wiki.example"][name] = value
		}
		all.Go(func() {
			if other.press(p, "/.redoubt/link", nil); other.passed != nil {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Errorf("%d of twenty are let in", in.Load())
	}
}

// Whoever asks for whomever gets one answer; mail goes to those alone whom a policy may let in.
func TestAskingTellsNothing(t *testing.T) { // SYSTEM P4
	w := newWorld(t)
	g := w.gate()
	var answers []string
	for _, address := range []string{"bob@acme.test", "eve@evil.test", "admin@acme.test", "bob@acme.test.evil.test"} {
		b := w.browser(g, "")
		p := b.get(wiki + "/.redoubt/sign-on?as=other")
		token := hidden.FindStringSubmatch(p.text)[2]
		r := b.request("POST", wiki+"/.redoubt/mail", url.Values{"_token": {token}, "to": {"/"}, "email": {address}})
		a := b.send(r)
		h := a.Header.Clone()
		sealed := h["Set-Cookie"]
		h.Del("Set-Cookie")
		answers = append(answers, fmt.Sprint(a.StatusCode, h, len(sealed), a.text))
		if shown := b.get(wiki + "/.redoubt/mail"); !strings.Contains(shown.text, address) {
			t.Errorf("%s is not shown", address)
		}
	}
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("one gets\n%s\nanother\n%s", answers[0], a)
		}
	}
	sent := <-w.mails
	time.Sleep(200 * time.Millisecond)
	if sent.to != "bob@acme.test" || len(w.mails) != 0 {
		t.Errorf("mail goes to %s and %d others", sent.to, len(w.mails))
	}
	if sent.subject != "Sign in to Acme Wiki" || !strings.Contains(sent.text, "within 10 minutes") {
		t.Errorf("got %q %s", sent.subject, sent.text)
	}
}

func TestAddressesThatAreNone(t *testing.T) { // SYSTEM P4
	w := newWorld(t)
	b := w.browser(w.gate(), "")
	p := b.get(wiki + "/.redoubt/sign-on?as=other")
	for what, address := range map[string]string{
		"nothing":               "",
		"a second header":       "bob@acme.test\r\nBcc: eve@evil.test",
		"a line end in it":      "bob\n@acme.test",
		"two":                   "bob@acme.test, eve@evil.test",
		"two with a semicolon":  "bob@acme.test;eve@evil.test",
		"with a name":           "Bob <bob@acme.test>",
		"quoted":                `"bob eve"@acme.test`,
		"with a comment":        "bob(x)@acme.test",
		"with a route":          "@evil.test:bob@acme.test",
		"an address literal":    "bob@[127.0.0.1]",
		"two at signs":          "bob@evil.test@acme.test",
		"a space":               "bob @acme.test",
		"a null":                "bob\x00@acme.test",
		"Unicode letters":       "bоb@acme.test", // a Cyrillic o
		"a full-width at sign":  "bob＠acme.test",
		"a domain with a dot":   "bob@acme.test.",
		"a domain of one label": "bob@localhost",
		"dots at the beginning": ".bob@acme.test",
		"percent":               "bob@acme%2etest",
		"longer than any":       strings.Repeat("b", 65) + "@acme.test",
		"a long domain":         "bob@" + strings.Repeat("a.", 130) + "test",
	} {
		if got := b.press(p, "/.redoubt/mail", url.Values{"email": {address}}); got.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %d", what, got.StatusCode)
		}
	}
	if got := b.press(p, "/.redoubt/mail", url.Values{"email": {"bob@acme.test", "eve@evil.test"}}); got.StatusCode != http.StatusBadRequest {
		t.Errorf("twice: got %d", got.StatusCode)
	}
	if got := b.press(p, "/.redoubt/mail", url.Values{"email": {"o'neil+x@sub.acme-2.test"}}); got.StatusCode != http.StatusOK {
		t.Errorf("a rare but honest one: got %d", got.StatusCode)
	}
}

func TestAskingTooOften(t *testing.T) { // SYSTEM P4
	ask := func(b *browser, address string) page {
		return b.press(b.get(wiki+"/.redoubt/sign-on?as=other"), "/.redoubt/mail", url.Values{"email": {address}})
	}
	for bound, c := range map[string]struct {
		rates access.Rates
		asked func(i int) (client, address string)
	}{
		"for one address":   {access.Rates{Address: 3, Client: 100, Overall: 100}, func(i int) (string, string) { return fmt.Sprintf("192.0.2.%d", i), "bob@acme.test" }},
		"for another's":     {access.Rates{Address: 3, Client: 100, Overall: 100}, func(i int) (string, string) { return fmt.Sprintf("192.0.2.%d", i), "eve@evil.test" }},
		"from one client":   {access.Rates{Address: 100, Client: 3, Overall: 100}, func(i int) (string, string) { return "192.0.2.1", fmt.Sprintf("a%d@acme.test", i) }},
		"from one IPv6 net": {access.Rates{Address: 100, Client: 3, Overall: 100}, func(i int) (string, string) { return fmt.Sprintf("2001:db8::%d", i), fmt.Sprintf("a%d@acme.test", i) }},
		"altogether":        {access.Rates{Address: 100, Client: 100, Overall: 3}, func(i int) (string, string) { return fmt.Sprintf("192.0.2.%d", i), fmt.Sprintf("a%d@acme.test", i) }},
	} {
		w := newWorld(t, func(w *world) { w.setting.Rates = c.rates })
		g := w.gate()
		for i := range 5 {
			b := w.browser(g, "")
			client, address := c.asked(i + 1)
			b.client = client
			p := ask(b, address)
			if want := map[bool]int{true: http.StatusOK, false: http.StatusTooManyRequests}[i < 3]; p.StatusCode != want {
				t.Errorf("%s, time %d: got %d", bound, i+1, p.StatusCode)
			}
			if i >= 3 && (p.Header.Get("Retry-After") == "" || !strings.Contains(p.text, "Wait a few minutes")) {
				t.Errorf("%s: got %q %s", bound, p.Header.Get("Retry-After"), p.text)
			}
		}
		w.clock.pass(10 * time.Minute)
		b := w.browser(g, "")
		client, address := c.asked(6)
		b.client = client
		if p := ask(b, address); p.StatusCode != http.StatusOK {
			t.Errorf("%s: ten minutes later, %d", bound, p.StatusCode)
		}
	}
}

// Nobody sends mail here: the queue has a bound, and says so.
func TestLettersThatWait(t *testing.T) { // SYSTEM P4
	w := newWorld(t, func(w *world) { w.setting.Rates = access.Rates{Address: 1000, Client: 1000, Overall: 1000} })
	g, err := access.New(w.setting)
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser(g, "")
	p := b.get(wiki + "/.redoubt/sign-on?as=other")
	taken := 0
	for range 400 {
		if b.press(p, "/.redoubt/mail", url.Values{"email": {"bob@acme.test"}}).StatusCode == http.StatusOK {
			taken++
		}
	}
	if taken != 256 {
		t.Errorf("%d letters wait", taken)
	}
}

func TestFormsThatAreNotOurs(t *testing.T) { // SYSTEM P4
	w := newWorld(t)
	g := w.gate()
	b, other := w.browser(g, ""), w.browser(g, "")
	token := hidden.FindStringSubmatch(b.get(wiki + "/.redoubt/sign-on").text)[2]
	foreign := hidden.FindStringSubmatch(other.get(wiki + "/.redoubt/sign-on").text)[2]
	send := func(token string, edit func(*http.Request)) int {
		r := b.request("POST", wiki+"/.redoubt/mail", url.Values{"_token": {token}, "to": {"/"}, "email": {"bob@acme.test"}})
		edit(r)
		return b.send(r).StatusCode
	}
	same := func(*http.Request) {}
	head := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for attack, got := range map[string]int{
		"without a token":       send("", same),
		"another's token":       send(foreign, same),
		"a token cut short":     send(token[:len(token)-1], same),
		"from another site":     send(token, head("Sec-Fetch-Site", "cross-site")),
		"from a neighbour":      send(token, head("Sec-Fetch-Site", "same-site")),
		"of another origin":     send(token, head("Origin", "https://shop.example")),
		"of no origin":          send(token, head("Origin", "null")),
		"by plain http":         send(token, head("Origin", "http://wiki.example")),
		"of nobody knows where": send(token, func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") }),
		"two origins":           send(token, func(r *http.Request) { r.Header.Add("Origin", wiki) }),
	} {
		if got != http.StatusForbidden {
			t.Errorf("%s: got %d", attack, got)
		}
	}
	for attack, got := range map[string]int{
		"as JSON":      send(token, head("Content-Type", "application/json")),
		"as text":      send(token, head("Content-Type", "text/plain")),
		"without kind": send(token, head("Content-Type", "")),
	} {
		if got != http.StatusBadRequest {
			t.Errorf("%s: got %d", attack, got)
		}
	}
	r := b.request("POST", wiki+"/.redoubt/mail?_token="+url.QueryEscape(token), url.Values{"email": {"bob@acme.test"}})
	if got := b.send(r).StatusCode; got != http.StatusForbidden {
		t.Errorf("a token in the address: got %d", got)
	}
	r = b.request("POST", wiki+"/.redoubt/mail", url.Values{"_token": {token}, "email": {strings.Repeat("a", 70<<10)}})
	if got := b.send(r).StatusCode; got != http.StatusBadRequest {
		t.Errorf("a large form: got %d", got)
	}
	if got := send(token, same); got != http.StatusSeeOther {
		t.Errorf("our own: got %d", got)
	}
	w.clock.pass(13 * time.Hour)
	if got := send(token, same); got != http.StatusForbidden {
		t.Errorf("of half a day ago: got %d", got)
	}
}
