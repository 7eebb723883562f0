package unfurl_test

import (
	"html/template"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer/input/egress"
	"github.com/redoubt-dev/redoubt/layer/input/egress/unfurl"
)

const (
	title = unfurl.MaxTitle
	about = unfurl.MaxDescription
)

func TestPages(t *testing.T) {
	for _, c := range []struct {
		name, page, charset string
		title, description  string
	}{
		{"nothing", "", "", "", ""},
		{"a title", "<title>A page</title>", "", "A page", ""},
		{"all there is", `<html><head><meta charset=utf-8><title>A</title><meta name="description" content="B"></head><body>x`, "", "A", "B"},
		{"a page that says it thrice", `<title>A</title><meta name="twitter:title" content="B"><meta property="og:title" content="C">`, "", "C", ""},
		{"twitter before the rest", `<title>A</title><meta name="twitter:title" content="B"><meta name=description content=D><meta name=twitter:description content=E>`, "", "B", "E"},
		{"a name for a property", `<meta name="OG:Title" content="C">`, "", "C", ""},
		{"an empty og:title", `<meta property="og:title" content=" "><title>A</title>`, "", "A", ""},
		{"the first of two", `<title>A</title><title>B</title><meta name=description content=1><meta name=description content=2>`, "", "A", "1"},
		{"the first of two attributes", `<meta name=description content=1 content=2>`, "", "", "1"},
		{"a script before", `<script>document.write("<title>no</title>")</script><style>title{}</style><title>A</title>`, "", "A", ""},
		{"a comment before", `<!-- <title>no</title> --><title>A</title>`, "", "A", ""},
		{"no metadata in the body", `<title>A</title><body><meta property="og:title" content="theirs">`, "", "A", ""},
		{"no metadata behind the head", `<head><title>A</title></head><meta property="og:title" content="theirs">`, "", "A", ""},
		{"no metadata behind a paragraph", `<title>A</title><p><meta property="og:title" content="theirs">`, "", "A", ""},
		{"the title of a drawing", `<svg><title>theirs</title></svg><title>A</title>`, "", "", ""},
		{"what a template holds", `<template><title>theirs</title></template>`, "", "", ""},
		{"white space", "<title>\n  A \t\r\n page\f</title>", "", "A page", ""},
		{"entities", `<title>Q&amp;A &lt;3 &#x41;</title>`, "", "Q&A <3 A", ""},
		{"Latin 1 by the answer", "<title>Caf\xe9</title>", "iso-8859-1", "Café", ""},
		{"Latin 1 by the page", "<meta charset=windows-1252><title>Caf\xe9</title>", "", "Café", ""},
		{"Latin 1 that nobody names", "<title>Caf\xe9</title>", "", "Café", ""},
		{"UTF-8 that nobody names", "<title>Café</title>", "", "Café", ""},
		{"UTF-8 that nobody names and that is late", "<!--" + strings.Repeat("x", 2000) + "--><title>Café</title>", "", "Café", ""},
		{"UTF-8 cut in the middle of a character", "<!--" + strings.Repeat("x", 2000) + "--><title>Café</title>\xe2\x82", "", "Café", ""},
		{"Japanese", "<title>\x83e\x83X\x83g</title>", "shift_jis", "テスト", ""},
		{"UTF-16 with a byte order mark", "\xff\xfe<\x00t\x00i\x00t\x00l\x00e\x00>\x00A\x00", "", "A", ""},
	} {
		got := unfurl.Page([]byte(c.page), c.charset)
		if got.Title != c.title || got.Description != c.description {
			t.Errorf("%s: got %q and %q", c.name, got.Title, got.Description)
		}
	}
}

// hostile are pages that want to show what is not theirs, or to cost.
var hostile = []struct {
	name, page, charset string
	title               string
}{
	{"script in the title", "<title><script>alert(1)</script></title>", "", "<script>alert(1)</script>"}, // text, for the template to escape
	{"script in an attribute", `<meta property=og:title content="&quot;><img src=x onerror=alert(1)>">`, "", `"><img src=x onerror=alert(1)>`},
	{"a title without an end", "<title>" + strings.Repeat("a", 1000), "", strings.Repeat("a", title-1) + "…"},
	{"a head without an end", strings.Repeat("<meta name=x content=y>", 20_000) + "<title>late</title>", "", ""},
	{"tags without an end", strings.Repeat("<", 400_000), "", ""},
	{"one attribute without an end", `<meta content="` + strings.Repeat("a", 500_000), "", ""},
	{"a million attributes", "<meta" + strings.Repeat(" a", 1_000_000) + ` property=og:title content=late><title>A</title>`, "", ""},
	{"as many as a tag can hold", "<meta" + strings.Repeat(" a", unfurl.MaxToken/2-2048) + ` property=og:title content=A>`, "", "A"},
	{"as many different ones", "<meta" + numbered(45_000) + ` property=og:title content=late><title>A</title>`, "", "A"},
	{"nested elements", strings.Repeat("<html><head>", 8000) + "<title>A</title>", "", "A"},
	{"entities of entities", "<title>" + strings.Repeat("&amp;", 100) + "amp;lt;b&gt;</title>", "", strings.Repeat("&", 100) + "amp;lt;b>"},
	{"entities that are not ended", "<title>" + strings.Repeat("&CounterClockwiseContourIntegral", 3000) + "</title>", "", strings.Repeat("&CounterClockwiseContourIntegral", 6) + "&Counter"[:title-1-6*32] + "…"},
	{"characters that do not exist", "<title>a&#0;&#x110000;&#xd800;&#xffff;b</title>", "", "a\ufffd\ufffd\ufffdb"},
	{"NULs", "<title>a\x00b\x00</title>", "", "a\ufffdb\ufffd"},
	{"control characters", "<title>a\x01\x1b[31m\x7f\u0085b</title>", "", "a[31m b"},
	{"the direction turned", "<title>\u202egnp.exe\u2066x\u2069\u200f\u061c</title>", "", "gnp.exex"},
	{"the direction turned by entities", "<title>&#x202e;gnp&rlm;&lrm;</title>", "", "gnp"},
	{"characters that are not seen", "<title>a\u200b\ufeff\u00ad\u2060\U000e0041b</title>", "", "ab"},
	{"nothing but such", "<title>\u200b\u202e</title>", "", ""},
	{"an encoding that hides tags", "<title>+ADw-script+AD4-</title>", "utf-7", "+ADw-script+AD4-"},
	{"such a one by the page", "<meta charset=utf-7><title>+ADw-</title>", "", "+ADw-"},
	{"an encoding that is none", "<title>A</title>", "\"; x=\x00", "A"},
	{"an encoding that replaces everything", "<title>A</title>", "iso-2022-kr", ""},
	{"UTF-16 that is none", "<title>A</title>", "utf-16le", ""},
	{"a false encoding", "<title>Caf\xe9 \xff</title>", "utf-8", "Caf\ufffd \ufffd"},
	{"a refresh", `<meta http-equiv=refresh content="0;url=//b.example"><title>A</title>`, "", "A"},
	{"everything after a plaintext", "<plaintext><title>A</title>", "", ""},
	{"a comment longer than a token may be", "<!--" + strings.Repeat("x", unfurl.MaxToken) + "--><title>A</title>", "", ""},
	{"a comment that is just short enough", "<!--" + strings.Repeat("x", unfurl.MaxToken-4096) + "--><title>A</title>", "", "A"},
	{"one token more than are read", strings.Repeat("<!---->", unfurl.MaxTokens) + "<title>A</title>", "", ""},
	{"as many tokens as are read", strings.Repeat("<!---->", unfurl.MaxTokens-1) + "<title>A</title>", "", "A"},
	{"one attribute more than are read", "<meta" + numbered(unfurl.MaxAttributes-1) + " property=og:title content=A>", "", ""},
	{"as many attributes as are read", "<meta" + numbered(unfurl.MaxAttributes-2) + " property=og:title content=A>", "", "A"},
	{"a page that grows when it is decoded", strings.Repeat("<!--"+strings.Repeat("\xe9", 100_000)+"-->", 4) + "<title>A</title>", "windows-1252", ""},
	{"a page that does not grow", strings.Repeat("<!--"+strings.Repeat("e", 100_000)+"-->", 4) + "<title>A</title>", "windows-1252", "A"},
}

func numbered(n int) string {
	var all strings.Builder
	for i := range n {
		all.WriteString(" a")
		for ; i > 0; i /= 26 {
			all.WriteByte(byte('a' + i%26))
		}
	}
	return all.String()
}

func TestHostilePages(t *testing.T) { // SYSTEM N5, T6
	for _, c := range hostile {
		start := time.Now()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := unfurl.Page([]byte(c.page), c.charset)
		runtime.ReadMemStats(&after)
		if got.Title != c.title {
			t.Errorf("%s: got %q, want %q", c.name, got.Title, c.title)
		}
		if fault := unclean(got); fault != "" {
			t.Errorf("%s: %s", c.name, fault)
		}
		if took, used := time.Since(start), after.TotalAlloc-before.TotalAlloc; took > 30*time.Second || used > 32<<20 {
			t.Errorf("%s: took %v and %d bytes", c.name, took, used)
		}
	}
}

// unclean says what in a preview may not stand in somebody else's line.
func unclean(p unfurl.Preview) string {
	for _, text := range []struct {
		string
		most int
	}{{p.Title, title}, {p.Description, about}} {
		switch {
		case !utf8.ValidString(text.string):
			return "it is no UTF-8"
		case utf8.RuneCountInString(text.string) > text.most:
			return "it is too long"
		case strings.Join(strings.Fields(text.string), " ") != text.string:
			return "its white space is not folded"
		}
		for _, r := range text.string {
			if r != ' ' && r != '\u200c' && r != '\u200d' && (!unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.In(r, unicode.Bidi_Control)) {
				return "it has a character that is not to be there: " + string(r)
			}
		}
	}
	return ""
}

// TestWhatIsShownIsText: the title is text, and a template makes it so.
func TestWhatIsShownIsText(t *testing.T) {
	var out strings.Builder
	p := unfurl.Page([]byte("<title><script>alert(1)</script></title>"), "")
	if err := template.Must(template.New("").Parse("<b>{{.Title}}</b>")).Execute(&out, p); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "<script") {
		t.Errorf("got %s", got)
	}
}

func TestLengths(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"as long as may be", strings.Repeat("é", 10), strings.Repeat("é", 10)},
		{"one more", strings.Repeat("é", 11), strings.Repeat("é", 9) + "…"},
		{"a space at the cut", "123456789 12", "123456789…"},
		{"a space before the cut", "12345678 9012", "12345678…"},
		{"white space behind that does not count", "1234567890  \n", "1234567890"},
		{"what is not seen does not count", "12345\u200b\u200b\u200b\u200b67890", "1234567890"},
	} {
		if got := unfurl.Clean(c.text, 10); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTheFirstLink(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "no link here", ""},
		{"alone", "https://example.com", "https://example.com/"},
		{"in a sentence", "See https://example.com/a, and https://example.org.", "https://example.com/a"},
		{"at a sentence's end", "See https://example.com/a.", "https://example.com/a"},
		{"in brackets", "(see https://example.com/a)", "https://example.com/a"},
		{"with brackets", "https://example.com/a_(b)", "https://example.com/a_(b)"},
		{"in Markdown", "[here](https://example.com/a)**", "https://example.com/a"},
		{"in angle brackets", "<https://example.com/a>x", "https://example.com/a"},
		{"in quotation marks", `"https://example.com/a"`, "https://example.com/a"},
		{"on a line", "x\nhttps://example.com/a\ny", "https://example.com/a"},
		{"not by http", "http://example.com/", ""},
		{"not another scheme", "ftp://example.com/ javascript:alert(1)", ""},
		{"past one that leads inside", "https://127.0.0.1/ https://localhost/ https://example.com/", "https://example.com/"},
		{"past one with a user", "https://a@example.com/ https://example.org/", "https://example.org/"},
		{"past one within another", "https://https://example.com/", "https://example.com/"},
		{"its fragment gone", "https://example.com/#x", "https://example.com/"},
		{"of a name not in ASCII", "https://café.example/é", "https://xn--caf-dma.example/%C3%A9"},
		{"nothing but punctuation", "https://...", ""},
		{"behind too many", strings.Repeat("https://x ", unfurl.MaxCandidates) + "https://example.com/", ""},
		{"the last that is looked at", strings.Repeat("https://x ", unfurl.MaxCandidates-1) + "https://example.com/", "https://example.com/"},
		{"too far behind", strings.Repeat(" ", unfurl.MaxText) + "https://example.com/", ""},
		{"a long one of punctuation", "https://" + strings.Repeat(")", unfurl.MaxText), ""},
		{"many long ones of punctuation", strings.Repeat("https://", unfurl.MaxCandidates) + strings.Repeat(")", unfurl.MaxText), ""},
		{"as long as may be", "https://a.example/" + strings.Repeat("a", egress.MaxURL-18), "https://a.example/" + strings.Repeat("a", egress.MaxURL-18)},
	} {
		start := time.Now()
		got, found := unfurl.First(c.text)
		if got != c.want || found != (c.want != "") || time.Since(start) > 10*time.Second {
			t.Errorf("%s: got %q, %t after %v", c.name, got, found, time.Since(start))
		}
	}
}

func FuzzPage(f *testing.F) {
	for _, c := range hostile {
		if len(c.page) < 4096 {
			f.Add([]byte(c.page), c.charset)
		}
	}
	f.Fuzz(func(t *testing.T, page []byte, charset string) {
		start := time.Now()
		if fault := unclean(unfurl.Page(page, charset)); fault != "" || time.Since(start) > 10*time.Second {
			t.Errorf("%s; after %v", fault, time.Since(start))
		}
	})
}

func FuzzFirst(f *testing.F) {
	f.Add("see https://example.com/a). and")
	f.Add("https://https://[::1]@x.y")
	f.Fuzz(func(t *testing.T, text string) {
		link, found := unfurl.First(text)
		if again, same := unfurl.First(link); found != (link != "") || found && (!same || again != link) && !strings.ContainsAny(link[len(link)-1:], ".,;:!?'*_~)]") {
			t.Errorf("%q: %q, and of that %q", text, link, again)
		}
	})
}
