package access_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// An attacker with many addresses fills the table; it does not grow, the newcomers share what is left, and it empties again.
func TestATableOfTriesIsBounded(t *testing.T) { // SYSTEM P4
	table, now := access.NewTable(3), time.Now()
	for i := range access.MaxTable {
		if !table.Allow(fmt.Sprint("a", i), now) {
			t.Fatalf("the %dth is refused", i+1)
		}
	}
	allowed := 0
	for i := range 10 * access.FullTable {
		if table.Allow(fmt.Sprint("b", i), now) {
			allowed++
		}
	}
	if allowed != access.FullTable || table.Len() != access.MaxTable {
		t.Errorf("%d newcomers are let through, and the table has %d", allowed, table.Len())
	}
	for try, want := range []bool{true, true, false} {
		if table.Allow("a1", now) != want {
			t.Errorf("who is known, try %d: want %t", try+2, want)
		}
	}
	if !table.Allow("c", now.Add(11*time.Minute)) || table.Len() > 2 {
		t.Errorf("ten minutes later the table still has %d", table.Len())
	}
}

func TestClientsAreCountedBySubscriber(t *testing.T) {
	for _, c := range []struct {
		one, two string
		same     bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"::ffff:192.0.2.1", "192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		if got := access.ClientKey(access.Client(c.one)) == access.ClientKey(access.Client(c.two)); got != c.same {
			t.Errorf("%s and %s: same is %t", c.one, c.two, got)
		}
	}
}

func box(t testing.TB) access.Box {
	t.Helper()
	folder, err := state.Open(t.TempDir() + "/edge")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := folder.Drawer("keys", 10)
	if err != nil {
		t.Fatal(err)
	}
	return access.NewBox(keys)
}

func TestWhatIsSealedCountsForOnePurposeAndHost(t *testing.T) { // SYSTEM P4
	b := box(t)
	sealed, err := b.Seal("session", "a.example", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		purpose, host string
		want          bool
	}{
		"its own":          {"session", "a.example", true},
		"another purpose":  {"form", "a.example", false},
		"another host":     {"session", "b.example", false},
		"moved boundaries": {"session\x00a", ".example", false},
	} {
		if _, err := b.Open(c.purpose, c.host, sealed); (err == nil) != c.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	if again, _ := b.Seal("session", "a.example", []byte("x")); again == sealed {
		t.Error("the same, sealed twice, looks the same")
	}
}

func TestWhatIsKnownIsBounded(t *testing.T) {
	if got := access.KnownAfter(10_000); got > access.MaxKnown {
		t.Errorf("%d sessions are kept unsealed", got)
	}
	if kept, last := access.WatchedAfter(access.MaxWatched + 10); kept != access.MaxWatched || last != nil {
		t.Errorf("%d sessions are watched", kept)
	}
}

func FuzzOpen(f *testing.F) {
	b := box(f)
	good, err := b.Seal("session", "a.example", []byte("content"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:10])
	f.Add("")
	f.Fuzz(func(t *testing.T, sealed string) {
		content, err := b.Open("session", "a.example", sealed)
		if (err == nil) != (sealed == good) || err == nil && !bytes.Equal(content, []byte("content")) {
			t.Errorf("%q: %q %v", sealed, content, err)
		}
	})
}

func FuzzBackTo(f *testing.F) {
	for _, s := range []string{"/", "/a?b=c", "//x", "/\\x", "https://x", "/.redoubt/x", "/a/../.redoubt", "/%2e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		back := access.BackTo(s)
		u := must(t, "https://wiki.example"+back)
		if u.Host != "wiki.example" || u.User != nil || !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") || back != "/" && back != s {
			t.Errorf("%q leads to %q", s, u)
		}
		if access.BackTo(back) != back {
			t.Errorf("%q does not stay as it is", back)
		}
	})
}

func FuzzTakeCookies(f *testing.F) {
	for _, s := range []string{"a=1", "a=1; __Host-redoubt-edge=x", "__host-REDOUBT-edge", "%5f_Host-redoubt-edge=1;b", ";;=", "a=\"; __Host-redoubt-edge=\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cookie": {line}}
		access.TakeCookies(h)
		rest := strings.Join(h["Cookie"], "|")
		if strings.Contains(strings.ToLower(rest), strings.ToLower(access.CookiePrefix)) {
			t.Errorf("%q leaves %q", line, rest)
		}
		// What has nothing of ours stays as it is, but for blanks at the beginning.
		for pair := range strings.SplitSeq(line, ";") {
			if low := strings.ToLower(pair); !strings.Contains(low, "redoubt") && !strings.Contains(low, "%") && !strings.Contains(rest, strings.TrimLeft(pair, " \t")) {
				t.Errorf("%q loses %q", line, pair)
			}
		}
	})
}

func FuzzMailAddress(f *testing.F) {
	for _, s := range []string{"bob@acme.test", "Bob@ACME.test", "a@b", "a@b.c\r\nBcc: x@y.z", "\"a\"@b.c", "a..b@c.d", "a@-b.c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		address, ok := access.MailAddress(s)
		if !ok {
			return
		}
		if strings.ContainsAny(address, " \t\r\n,;:<>()[]\"\\") || strings.Count(address, "@") != 1 || len(address) > 254 || address != strings.ToLower(address) {
			t.Errorf("%q is taken for %q", s, address)
		}
		if again, ok := access.MailAddress(address); !ok || again != address {
			t.Errorf("%q does not stay as it is", address)
		}
	})
}

func FuzzServiceToken(f *testing.F) {
	token, _ := newService(f, "a-b")
	for _, s := range []string{token, token[:30], "redoubt-service--", "redoubt-service-" + strings.Repeat("a", 59), "x=" + token + "&y", "%72" + token[1:]} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := access.ServiceName(s)
		if ok && (!strings.HasPrefix(s, "redoubt-service-"+name+"-") || len(s) != len("redoubt-service-")+len(name)+1+59) {
			t.Errorf("%q is %q's", s, name)
		}
		if ok && !access.TokenInQuery("a="+s) {
			t.Errorf("%q is not found in a query", s)
		}
	})
}

// BenchmarkAdmit is what the gate costs a request of somebody who is signed on.
func BenchmarkAdmit(b *testing.B) {
	w := newWorld(b, noMail)
	g := w.gate()
	in := signedOn(b, w, g)
	cookie := edgeCookie + "=" + in.jar["wiki.example"][edgeCookie] + "; theme=dark"
	v := access.Visitor{Application: "wiki", Client: access.Client("192.0.2.1"), ID: "x"}
	r := in.request("GET", wiki+"/docs/page/12", nil)
	b.ReportAllocs()
	for b.Loop() {
		r.Header["Cookie"] = []string{cookie}
		if _, answered := g.Admit(nil, r, v); answered {
			b.Fatal("not let in")
		}
	}
}
