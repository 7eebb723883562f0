package transport

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"
)

// ReportPath is where browsers send violations of the content security policy (SYSTEM T2). Handler serves it. Anyone may write
// to it, from anywhere, so it changes nothing, answers nothing, and keeps little.
const ReportPath = "/csp-reports"

const reportGroup = "csp" // the name of ReportPath in Reporting-Endpoints

const (
	maxReportBody = 32 << 10 // bytes of one submission: Chromium collects them for a minute, and repeats the policy in each
	maxBatch      = 20       // reports of one submission that are looked at
	maxPerMinute  = 100      // reports that are kept
	maxReported   = 256      // bytes of one text of a report
)

// A Report is one violation of the content security policy, as a browser, or someone who plays one, claims. Its texts are short
// and printable, and hold no query, fragment or credentials of any address; still they are a stranger's words.
type Report struct {
	At        time.Time `json:"at"`
	Document  string    `json:"document"`  // the page, always of our origin
	Directive string    `json:"directive"` // what was violated: "script-src-elem"
	Blocked   string    `json:"blocked"`   // what was blocked: an address, its scheme, or "inline", "eval", "trusted-types-sink"
	Source    string    `json:"source"`    // the file that tried
	Line      int       `json:"line"`
	Column    int       `json:"column"`
}

// A violation is what a browser sent, before it is cleaned. No member has authority over anything, so the leniency of
// encoding/json about case and repetition does no harm.
type violation struct {
	document, directive, blocked, source string
	line, column                         int
}

// isReport compares what was written, not what it decodes to: a path has one spelling.
func isReport(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.EscapedPath() == ReportPath
}

// collect answers 204 whatever it was sent. Once a minute's reports are kept, the rest are not even read.
func (t *Transport) collect(w http.ResponseWriter, r *http.Request) {
	now := t.cfg.Now()
	if t.reports.take(now, 0) {
		raw, err := io.ReadAll(io.LimitReader(r.Body, maxReportBody+1))
		if err == nil && len(raw) <= maxReportBody {
			t.keep(r, now, parseReports(r.Header.Get("Content-Type"), raw))
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (t *Transport) keep(r *http.Request, now time.Time, found []violation) {
	for _, v := range found {
		report := v.clean(now)
		if report.Document != t.cfg.Origin && !strings.HasPrefix(report.Document, t.cfg.Origin+"/") {
			continue // somebody else's page
		}
		if !t.reports.take(now, 1) {
			return
		}
		t.cfg.Report(r.Context(), report)
	}
}

// parseReports reads both media types. What it cannot read it does not see.
func parseReports(contentType string, raw []byte) []violation {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil
	}
	switch kind {
	case "application/csp-report":
		return parseOne(raw)
	case "application/reports+json":
		return parseBatch(raw)
	}
	return nil
}

// parseOne reads the report of CSP Level 2, §4.4.
func parseOne(raw []byte) []violation {
	var in struct {
		Report *struct {
			Document  string `json:"document-uri"`
			Effective string `json:"effective-directive"`
			Violated  string `json:"violated-directive"` // older browsers have only this, with its sources
			Blocked   string `json:"blocked-uri"`
			Source    string `json:"source-file"`
			Line      int    `json:"line-number"`
			Column    int    `json:"column-number"`
		} `json:"csp-report"`
	}
	if json.Unmarshal(raw, &in) != nil || in.Report == nil {
		return nil
	}
	r := in.Report
	if r.Effective == "" {
		r.Effective, _, _ = strings.Cut(r.Violated, " ")
	}
	return []violation{{r.Document, r.Effective, r.Blocked, r.Source, r.Line, r.Column}}
}

// parseBatch reads the reports of the Reporting API with bodies of CSP Level 3, §5.2.
func parseBatch(raw []byte) []violation {
	var in []struct {
		Type string `json:"type"`
		Body struct {
			Document  string `json:"documentURL"`
			Directive string `json:"effectiveDirective"`
			Blocked   string `json:"blockedURL"`
			Source    string `json:"sourceFile"`
			Line      int    `json:"lineNumber"`
			Column    int    `json:"columnNumber"`
		} `json:"body"`
	}
	if json.Unmarshal(raw, &in) != nil {
		return nil
	}
	var found []violation
	for _, r := range in[:min(len(in), maxBatch)] {
		if b := r.Body; r.Type == "csp-violation" {
			found = append(found, violation{b.Document, b.Directive, b.Blocked, b.Source, b.Line, b.Column})
		}
	}
	return found
}

// clean leaves what helps to find the fault, and nothing that was secret on the page.
func (v violation) clean(now time.Time) Report {
	if !isKeyword(v.directive) {
		v.directive = "other"
	}
	return Report{
		At: now, Directive: v.directive,
		Document: cleanURL(v.document), Blocked: cleanURL(v.blocked), Source: cleanURL(v.source),
		Line: max(0, min(v.line, 1<<20)), Column: max(0, min(v.column, 1<<20)),
	}
}

// cleanURL keeps a keyword as it is, of a web address the scheme, host and path, and of any other only the scheme: a data: or
// blob: address is content.
func cleanURL(s string) string {
	if s == "" || isKeyword(s) {
		return s
	}
	u, err := url.Parse(cut(s, 2<<10))
	switch {
	case err != nil || u.Scheme == "":
		return "unreadable"
	case u.Host == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "wss" && u.Scheme != "ws":
		return cut(u.Scheme, 32)
	}
	return cut(u.Scheme+"://"+u.Host+u.EscapedPath(), maxReported)
}

// isKeyword reports a short word such as "inline" or "script-src-attr".
func isKeyword(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == ""
}

// cut makes s printable and at most n bytes long.
func cut(s string, n int) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, s[:min(len(s), n)])
}

// A collector counts the reports of the current minute.
type collector struct {
	mu    sync.Mutex
	since time.Time
	kept  int
}

// take counts n more, 0 or 1, and reports whether there was room for one.
func (c *collector) take(now time.Time, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.since) >= time.Minute || now.Before(c.since) {
		c.since, c.kept = now, 0
	}
	if c.kept >= maxPerMinute {
		return false
	}
	c.kept += n
	return true
}
