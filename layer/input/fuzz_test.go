package input_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer/input"
)

// all has every kind and every rule, once.
type all struct {
	ID    ProductID  `json:"id"`
	Text  string     `json:"text" minLength:"1" maxLength:"8"`
	Lines string     `json:"lines,omitempty" maxLength:"8" multiline:"true"`
	Code  string     `json:"code,omitempty" maxLength:"8" pattern:"[a-z]+|[0-9]"`
	Pick  string     `json:"pick,omitempty" enum:"a,b"`
	Mail  string     `json:"mail,omitempty" format:"email"`
	Site  string     `json:"site,omitempty" format:"uri"`
	Day   string     `json:"day,omitempty" format:"date"`
	At    *time.Time `json:"at,omitempty"`
	Yes   bool       `json:"yes"`
	Small int8       `json:"small,omitempty" minimum:"-3"`
	Big   uint64     `json:"big,omitempty"`
	Real  float64    `json:"real,omitempty" minimum:"-1.5" maximum:"1.5"`
	Tags  []string   `json:"tags,omitempty" minItems:"1" maxItems:"2" maxLength:"3"`
}

// nested adds what only JSON can carry.
type nested struct {
	all
	One  *all  `json:"one,omitempty"`
	More []all `json:"more,omitempty" maxItems:"2"`
}

var (
	code = regexp.MustCompile(`^(?:[a-z]+|[0-9])$`)
	lowr = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// broken names the rules that an accepted value breaks. It is written from the tags anew, not with the code under test.
func (a all) broken() (rules []string) {
	is := func(ok bool, rule string) {
		if !ok {
			rules = append(rules, rule)
		}
	}
	is(lowr.MatchString(string(a.ID)), "id")
	is(a.Text != "" && tame(a.Text, 8, ""), "text")
	is(tame(a.Lines, 8, "\n\t"), "lines")
	is(a.Code == "" || code.MatchString(a.Code), "code")
	is(a.Pick == "" || a.Pick == "a" || a.Pick == "b", "pick")
	is(a.Mail == "" || strings.Count(a.Mail, "@") == 1 && len(a.Mail) <= 254 && !strings.ContainsAny(a.Mail, " <>\"\r\n"), "mail")
	u, err := url.Parse(a.Site)
	is(a.Site == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil, "site")
	_, err = time.Parse("2006-01-02", a.Day)
	is(a.Day == "" || err == nil, "day")
	is(a.At == nil || a.At.UTC().Year() > 0 && a.At.UTC().Year() < 10000, "at")
	is(a.Small >= -3, "small")
	is(a.Big <= 1<<63-1, "big")
	is(a.Real >= -1.5 && a.Real <= 1.5, "real")
	is(len(a.Tags) <= 2 && (a.Tags == nil || len(a.Tags) >= 1), "tags")
	for _, tag := range a.Tags {
		is(tame(tag, 3, ""), "tag")
	}
	return rules
}

func tame(s string, most int, allowed string) bool {
	bad := func(r rune) bool {
		return unicode.IsControl(r) && !strings.ContainsRune(allowed, r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, bad)
}

// SYSTEM N1: whatever is accepted keeps every rule, and means the same when it is sent back.
func FuzzBindJSON(f *testing.F) {
	f.Add([]byte(`{"id":"` + product + `","text":"é","yes":true}`))
	f.Add([]byte(`{"id":"` + product + `","text":"a","lines":"a\r\nb","code":"abc","pick":"a","mail":"a@b","site":"https://a/","day":"2026-01-31",` +
		`"at":"2026-01-31T12:00:00.5+01:00","yes":false,"small":-3,"big":9223372036854775807,"real":-1.5e0,"tags":["a","b"],` +
		`"one":null,"more":[{"id":"` + product + `","text":"a","yes":false}]}`))
	f.Add([]byte(`{"id":"x","id":"y"}`))
	s := compile[nested](f, input.ModeJSON)
	f.Fuzz(func(t *testing.T, body []byte) {
		var in, again nested
		if err := s.Bind(postJSON(string(body)), input.Limits{}, &in); err != nil {
			said(t, err)
			return
		}
		for _, a := range append(append([]all{in.all}, in.More...), deref(in.One)...) {
			if rules := a.broken(); rules != nil {
				t.Errorf("accepted %+v, which breaks %v", a, rules)
			}
		}
		first := encode(t, in)
		if err := s.Bind(postJSON(first), input.Limits{}, &again); err != nil {
			t.Fatalf("%s\nis refused when it is sent back: %s", first, said(t, err))
		}
		if second := encode(t, again); first != second {
			t.Errorf("got  %s\nwant %s", second, first)
		}
	})
}

func deref(a *all) []all {
	if a == nil {
		return nil
	}
	return []all{*a}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func FuzzBindForm(f *testing.F) {
	f.Add("id="+product+"&text=a&yes=on&tags=a&tags=b&_token=x", false)
	f.Add("id="+product+"&text=%C3%A9&lines=a%0D%0Ab&small=-3&real=1e0&at=2026-01-31T12:00:00Z", false)
	f.Add(multipartBody("Content-Disposition: form-data; name=\"id\"\r\n\r\n"+product, "Content-Disposition: form-data; name=\"text\"\r\n\r\na"), true)
	s := compile[all](f, input.ModeForm)
	f.Fuzz(func(t *testing.T, body string, parts bool) {
		kind := "application/x-www-form-urlencoded"
		if parts {
			kind = "multipart/form-data; boundary=b"
		}
		var in, again all
		r := post(body, kind)
		err := s.Bind(r, input.Limits{}, &in)
		for name, value := range s.Typed(r, input.Limits{}) {
			if !tame(value, len(value), "\n\t") {
				t.Errorf("%s would be shown as %q", name, value)
			}
		}
		if err != nil {
			said(t, err)
			return
		}
		if rules := in.broken(); rules != nil {
			t.Errorf("accepted %+v, which breaks %v", in, rules)
		}
		if err := s.Bind(postForm(in.form().Encode()), input.Limits{}, &again); err != nil {
			t.Fatalf("%+v is refused when it is sent back: %s", in, said(t, err))
		}
		if first, second := encode(t, in), encode(t, again); first != second {
			t.Errorf("got  %s\nwant %s", second, first)
		}
	})
}

// form is a as a browser would send it.
func (a all) form() url.Values {
	v := url.Values{"id": {string(a.ID)}, "text": {a.Text}, "lines": {a.Lines}, "code": {a.Code}, "pick": {a.Pick}, "mail": {a.Mail},
		"site": {a.Site}, "day": {a.Day}, "small": {strconv.Itoa(int(a.Small))}, "big": {strconv.FormatUint(a.Big, 10)},
		"real": {strconv.FormatFloat(a.Real, 'g', -1, 64)}, "tags": a.Tags}
	if a.Yes {
		v.Set("yes", "on")
	}
	if a.At != nil {
		v.Set("at", a.At.Format(time.RFC3339Nano))
	}
	return v
}

// corpus reads one of the public collections of hostile input that the tests are given.
func corpus[T any](t *testing.T, name string) (entries []T) {
	t.Helper()
	dir := os.Getenv("REDOUBT_CORPORA")
	if dir == "" {
		t.Skipf("set REDOUBT_CORPORA to the folder that holds %s to run this test", name)
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &entries); err != nil {
		t.Fatal(err)
	}
	return entries
}

// SYSTEM N1: the public collection of what JSON parsers disagree about.
func TestJSONParsingCorpus(t *testing.T) {
	// RFC 8259 lets a parser take a name twice, so the collection does; we do not.
	stricter := map[string]bool{"y_object_duplicated_key.json": true, "y_object_duplicated_key_and_value.json": true}
	s := compile[all](t, input.ModeJSON)
	entries := corpus[struct{ Name, Expect, B64 string }](t, "json-parsing.json")
	for _, e := range entries {
		body, err := base64.StdEncoding.DecodeString(e.B64)
		if err != nil {
			t.Fatal(err)
		}
		accepted := input.Syntax(body) == nil
		want := e.Expect == "y" && !stricter[e.Name]
		if e.Expect != "i" && accepted != want {
			t.Errorf("%s: accepted is %v, want %v", e.Name, accepted, want)
		}
		if got := said(t, s.Bind(postJSON(string(body)), input.Limits{}, new(all))); got == "accepted" {
			t.Errorf("%s: bound to a type that it does not fit", e.Name)
		}
	}
	if len(entries) < 300 {
		t.Errorf("the collection has %d entries, want 300 and more", len(entries))
	}
}

// Each naughty string arrives exactly as it was sent, or is refused.
func TestNaughtyStrings(t *testing.T) {
	type note struct {
		Text string `json:"text,omitempty" maxLength:"2000" multiline:"true"`
	}
	asJSON, asForm := compile[note](t, input.ModeJSON), compile[note](t, input.ModeForm)
	refused := 0
	entries := corpus[string](t, "blns.json")
	for _, naughty := range entries {
		want := strings.ReplaceAll(naughty, "\r\n", "\n")
		var one, two note
		errJSON := asJSON.Bind(postJSON(encode(t, note{naughty})), input.Limits{}, &one)
		errForm := asForm.Bind(postForm(url.Values{"text": {naughty}}.Encode()), input.Limits{}, &two)
		if (errJSON == nil) != (errForm == nil) {
			t.Errorf("%q: JSON says %s, a form says %s", naughty, said(t, errJSON), said(t, errForm))
		}
		if errJSON != nil {
			said(t, errJSON)
			refused++
		} else if one.Text != want || two.Text != want {
			t.Errorf("sent %q, got %q by JSON and %q by a form", naughty, one.Text, two.Text)
		}
	}
	if refused > len(entries)/20 {
		t.Errorf("%d of %d strings are refused, most of which are what people write", refused, len(entries))
	}
}
