package transport_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/redoubt-dev/redoubt/layer/transport"
)

// reporting returns a handler, and the reports that it has been given.
func reporting(t testing.TB) (*transport.Config, *[]transport.Report) {
	cfg, kept := config(), &[]transport.Report{}
	now := time.Unix(1e9, 0)
	cfg.Now = func() time.Time { return now }
	cfg.Report = func(_ context.Context, r transport.Report) { *kept = append(*kept, r) }
	return &cfg, kept
}

// send posts a report as a browser does for a page of any origin, and wants 204 whatever it was.
func send(t testing.TB, h http.Handler, contentType, body string) {
	t.Helper()
	r := httptest.NewRequest("POST", transport.ReportPath, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 204 || w.Body.Len() != 0 || w.Header().Get("X-Frame-Options") != "DENY" {
		t.Errorf("got %d %q, want 204, nothing, and all headers", w.Code, w.Body)
	}
}

func serveNothing(t testing.TB) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a report reached the application") })
}

const (
	old = `{"csp-report":{"document-uri":"https://app.example.com/orders/7?token=secret#secret","violated-directive":"script-src-elem 'nonce-x'",
	"effective-directive":"script-src-elem","blocked-uri":"inline","source-file":"https://user:secret@app.example.com/app.js?v=secret",
	"line-number":3,"column-number":14,"script-sample":"secret","tomorrow":{}}}`
	batch = `[{"type":"csp-violation","age":1,"url":"x","body":{"documentURL":"https://app.example.com/","effectiveDirective":"img-src",
	"blockedURL":"https://evil.example/beacon?secret","sample":"secret"}},{"type":"deprecation","body":{}},
	{"type":"csp-violation","body":{"documentURL":"https://app.example.com","effectiveDirective":"IMG <b>","blockedURL":"data:secret","lineNumber":-1}}]`
)

func TestReportsAreCleaned(t *testing.T) { // SYSTEM T2
	cfg, kept := reporting(t)
	h := must(t, *cfg).Handler(serveNothing(t))
	send(t, h, "application/csp-report", old)
	send(t, h, "application/reports+json; charset=utf-8", batch)
	at := time.Unix(1e9, 0)
	want := []transport.Report{
		{At: at, Document: "https://app.example.com/orders/7", Directive: "script-src-elem", Blocked: "inline",
			Source: "https://app.example.com/app.js", Line: 3, Column: 14},
		{At: at, Document: "https://app.example.com/", Directive: "img-src", Blocked: "https://evil.example/beacon"},
		{At: at, Document: "https://app.example.com", Directive: "other", Blocked: "data"},
	}
	send(t, h, "application/csp-report", old+strings.Repeat(" ", 32<<10-len(old))) // as long as may be
	want = append(want, want[0])
	if fmt.Sprint(*kept) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", *kept, want)
	}
}

func TestWhatIsNoReportIsNotKept(t *testing.T) {
	for name, c := range map[string][2]string{
		"another media type":            {"text/plain", old},
		"no media type":                 {"", old},
		"the other media type":          {"application/reports+json", old},
		"nothing":                       {"application/csp-report", ""},
		"null":                          {"application/csp-report", "null"},
		"an empty report":               {"application/csp-report", `{"csp-report":{}}`},
		"a report of another site":      {"application/csp-report", strings.ReplaceAll(old, "app.example.com", "evil.example")},
		"a report of a name like ours":  {"application/csp-report", strings.ReplaceAll(old, "app.example.com", "app.example.com.evil.example")},
		"a report of over 32 KiB":       {"application/csp-report", old + strings.Repeat(" ", 32<<10-len(old)+1)},
		"a report that nests for ever":  {"application/csp-report", strings.Repeat("[", 16000)},
		"a report with a text as line":  {"application/csp-report", strings.Replace(old, "3", `"3"`, 1)},
		"a page that is not an address": {"application/csp-report", `{"csp-report":{"document-uri":"https://app.example.com:x/"}}`},
	} {
		cfg, kept := reporting(t)
		send(t, must(t, *cfg).Handler(serveNothing(t)), c[0], c[1])
		if len(*kept) != 0 {
			t.Errorf("%s: kept %v", name, *kept)
		}
	}
}

func TestReportsAreFewAndShort(t *testing.T) { // SYSTEM T6
	cfg, kept := reporting(t)
	now := time.Unix(1e9, 0)
	cfg.Now = func() time.Time { return now }
	h := must(t, *cfg).Handler(serveNothing(t))
	one := `{"type":"csp-violation","body":{"documentURL":"https://app.example.com/` + strings.Repeat("p", 500) + `"}}`
	send(t, h, "application/reports+json", "["+strings.Repeat(one+",", 20)+one+"]")
	if got := len(*kept); got != 20 {
		t.Errorf("of a batch of 21 reports %d were kept, want 20", got)
	}
	if got := len((*kept)[0].Document); got != 256 {
		t.Errorf("a long address was kept with %d bytes, want 256", got)
	}
	for range 200 {
		send(t, h, "application/csp-report", old)
	}
	if got := len(*kept); got != 100 {
		t.Errorf("in a minute %d reports were kept, want 100", got)
	}
	now = now.Add(time.Minute)
	send(t, h, "application/csp-report", old)
	if got := len(*kept); got != 101 {
		t.Errorf("a minute later %d reports were kept, want 101", got)
	}
}

func TestOnlyHandlerCollectsAndOnlyByPost(t *testing.T) {
	reached := 0
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ })
	tr := must(t, config())
	tr.Handler(next).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", transport.ReportPath, nil))
	tr.Machines(next).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", transport.ReportPath, nil))
	if reached != 2 {
		t.Errorf("the application was reached %d times, want 2", reached)
	}
}

// FuzzReports looks for a report that is kept with something long, unprintable, or from a query or fragment.
func FuzzReports(f *testing.F) {
	f.Add(true, old)
	f.Add(false, batch)
	f.Add(true, `{"csp-report":{"document-uri":"https://app.example.com/%0a\u202e","blocked-uri":"https://\u0000"}}`)
	f.Fuzz(func(t *testing.T, single bool, body string) {
		cfg, kept := reporting(t)
		contentType := "application/reports+json"
		if single {
			contentType = "application/csp-report"
		}
		send(t, must(t, *cfg).Handler(serveNothing(t)), contentType, body)
		for _, r := range *kept {
			for _, s := range []string{r.Document, r.Directive, r.Blocked, r.Source} {
				if len(s) > 256 || strings.ContainsAny(s, "?#") || strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
					t.Errorf("kept %q", s)
				}
			}
			if !json.Valid([]byte(body)) || !strings.HasPrefix(r.Document, origin) {
				t.Errorf("kept %v out of %q", r, body)
			}
		}
	})
}
