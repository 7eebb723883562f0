package input_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer"
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

// filed is a form of few rules, so that little but the reader's own can refuse one.
type filed struct {
	Text  string         `json:"text,omitempty" maxLength:"100000" multiline:"true"`
	One   input.Upload   `json:"one,omitempty" maxBytes:"100000"`
	Files []input.Upload `json:"files,omitempty" maxItems:"9" maxBytes:"100000"`
}

// SYSTEM N1, N2: what is accepted is read by the standard library in the same way.
func FuzzMultipart(f *testing.F) {
	f.Add([]byte(multipartBody(textPart("text", "a"), filePart("one", "a", "x"), filePart("files", "", ""), filePart("files", "b", "\r\n--c"))))
	f.Add([]byte(multipartBody(filePart("files", "a\\\"b", "x"), "Content-Type: text/plain\r\n"+textPart("text", "--b"))))
	f.Add([]byte("--b\r\n" + textPart("text", "a") + "\r\n--b \t\r\n" + filePart("one", "a", "") + "\r\n--b--"))
	f.Add([]byte(multipartBody("Content-Disposition: form-data; name=one; filename*=utf-8''a\r\n\r\nx")))
	s := compile[filed](f, input.ModeForm)
	spool := spoolOf(f, input.SpoolConfig{})
	f.Fuzz(func(t *testing.T, body []byte) {
		var in filed
		err := s.Bind(post(string(body), multipartB), input.Limits{Spool: spool}, &in)
		defer s.Release(&in)
		if files, _ := spool.Left(); err != nil && files != 64 {
			t.Errorf("a refused form has left %d files", 64-files)
		}
		if err != nil {
			said(t, err)
			return
		}
		form, err := multipart.NewReader(bytes.NewReader(body), "b").ReadForm(1 << 20)
		if err != nil {
			if len(body) > 0 {
				t.Fatalf("the standard library refuses it: %v", err)
			}
			return
		}
		delete(form.Value, "_token")
		if got, want := in.Text, strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.Join(form.Value["text"], "|")); got != want {
			t.Errorf("the text is %q, want %q", got, want)
		}
		got := map[string][]string{"one": {}, "files": {}}
		if !in.One.IsZero() {
			got["one"] = append(got["one"], content(t, in.One))
		}
		for _, u := range in.Files {
			got["files"] = append(got["files"], content(t, u))
		}
		for name := range got {
			slices.Sort(got[name])
			if want := standardFiles(t, form, name); !slices.Equal(got[name], want) {
				t.Errorf("%s: got %q, want %q", name, got[name], want)
			}
		}
	})
}

// standardFiles are the contents of the files of one name. The standard library takes a file without a name for a text.
func standardFiles(t *testing.T, form *multipart.Form, name string) (all []string) {
	for _, h := range form.File[name] {
		f, err := h.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	all = append(all, slices.DeleteFunc(form.Value[name], func(text string) bool { return text == "" })...)
	slices.Sort(all)
	return all
}

// What the standard library writes is accepted, byte by byte, whatever is in it.
func FuzzMultipartWritten(f *testing.F) {
	f.Add("text", "a.png", []byte("PNG\r\n--"))
	f.Add("\r\n", "..\\\"*é", []byte{})
	s := compile[filed](f, input.ModeForm)
	spool := spoolOf(f, input.SpoolConfig{})
	f.Fuzz(func(t *testing.T, text, name string, file []byte) {
		if !tame(text, 1000, "\n\t") || !tame(name, 1000, "") || strings.HasPrefix(name, " ") || len(file) > 100_000 {
			return
		}
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		one, err := w.CreateFormFile("one", "x"+name)
		if err != nil {
			t.Fatal(err)
		}
		one.Write(file)
		w.WriteField("text", text)
		w.Close()
		var in filed
		if err := s.Bind(post(body.String(), w.FormDataContentType()), input.Limits{Spool: spool}, &in); err != nil {
			t.Fatalf("%q, %q: %s", text, name, said(t, err))
		}
		defer s.Release(&in)
		if got := content(t, in.One); in.Text != text || got != string(file) {
			t.Errorf("sent %q and %q, got %q and %q", text, file, in.Text, got)
		}
		if shown := in.One.Name(); utf8.RuneCountInString(shown) > 120 || strings.ContainsAny(shown, "/\\\x00\r\n\u202e") || !utf8.ValidString(shown) {
			t.Errorf("%q would be shown as %q", name, shown)
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

// SYSTEM N1: the public collection of what JSON parsers disagree about, each as a body, and as a member of one whose type has its shape.
func TestJSONParsingCorpus(t *testing.T) {
	// RFC 8259 lets a parser take a name twice, so the collection does; we do not.
	stricter := map[string]bool{"y_object_duplicated_key.json": true, "y_object_duplicated_key_and_value.json": true}
	s := compile[all](t, input.ModeJSON)
	entries := corpus[struct{ Name, Expect, B64 string }](t, "json-parsing.json")
	accepted, shapeless := 0, map[string]int{}
	for _, e := range entries {
		body, err := base64.StdEncoding.DecodeString(e.B64)
		if err != nil {
			t.Fatal(err)
		}
		member := `{"v":` + string(body) + `}`
		want := e.Expect == "y" && !stricter[e.Name]
		for _, text := range []string{string(body), member} {
			if got := input.Syntax([]byte(text)) == nil; e.Expect != "i" && got != want {
				t.Errorf("%s: accepted is %v, want %v", e.Name, got, want)
			}
			if got := said(t, s.Bind(postJSON(text), input.Limits{}, new(all))); got == "accepted" {
				t.Errorf("%s: bound to a type that it does not fit", e.Name)
			}
		}
		if !want {
			continue
		}
		got, err := verdict(t, json.RawMessage("true"), body)
		switch {
		case err != nil:
			shapeless[err.Error()]++
		case got:
			accepted++
		case slices.Contains(controls, e.Name):
			shapeless["text with control characters"]++
		default:
			t.Errorf("%s: refused by a type of its own shape", e.Name)
		}
	}
	if len(entries) < 300 || accepted < 75 {
		t.Errorf("of %d entries %d are accepted, want 300 and 75 and more", len(entries), accepted)
	}
	t.Logf("%d accepted by a type of their shape; %v have no such type", accepted, shapeless)
}

// The entries whose text holds control characters, which no type of ours takes.
var controls = []string{"y_string_allowed_escapes.json", "y_string_escaped_control_character.json", "y_string_null_escape.json",
	"y_string_unescaped_char_delete.json", "y_string_with_del_character.json"}

// The places from which text comes, each with a type that takes nearly any.
type (
	inJSON struct {
		Text string `json:"text,omitempty" maxLength:"4000" multiline:"true"`
	}
	inQuery struct {
		Text string `query:"text,omitempty" maxLength:"4000" multiline:"true"`
	}
	inPath struct {
		Text string `path:"text" maxLength:"4000" multiline:"true"`
	}
	inHeader struct {
		Text string `header:"X-Text,omitempty" maxLength:"4000" multiline:"true"`
	}
	inParts struct {
		Text string       `json:"text,omitempty" maxLength:"4000" multiline:"true"`
		File input.Upload `json:"file,omitempty" maxBytes:"1"`
	}
)

// A sender brings one text in one place, and gives what has arrived.
type sender func(t *testing.T, text string) (string, error)

func senders(t testing.TB) map[string]sender {
	json, query, path := compile[inJSON](t, input.ModeJSON), compile[inQuery](t, input.ModeNone), compile[inPath](t, input.ModeNone)
	form, header, parts := compile[inJSON](t, input.ModeForm), compile[inHeader](t, input.ModeNone), compile[inParts](t, input.ModeForm)
	limits := input.Limits{Spool: spoolOf(t, input.SpoolConfig{})}
	get := func() *http.Request { return httptest.NewRequest("GET", "/", nil) }
	return map[string]sender{
		"JSON": func(t *testing.T, text string) (string, error) {
			var in inJSON
			err := json.Bind(postJSON(encode(t, inJSON{text})), limits, &in)
			return in.Text, err
		},
		"query": func(_ *testing.T, text string) (string, error) {
			var in inQuery
			r := get()
			r.URL.RawQuery = url.Values{"text": {text}}.Encode()
			err := query.Bind(r, limits, &in)
			return in.Text, err
		},
		"path": func(t *testing.T, text string) (string, error) {
			var in inPath
			r := get()
			r.SetPathValue("text", text)
			err := path.Bind(r, limits, &in)
			return in.Text, err
		},
		"header": func(_ *testing.T, text string) (string, error) {
			var in inHeader
			r := get()
			r.Header.Set("X-Text", text)
			err := header.Bind(r, limits, &in)
			return in.Text, err
		},
		"form": func(_ *testing.T, text string) (string, error) {
			var in inJSON
			err := form.Bind(postForm(url.Values{"text": {text}}.Encode()), limits, &in)
			return in.Text, err
		},
		"parts": func(_ *testing.T, text string) (string, error) {
			var in inParts
			err := parts.Bind(postParts(textPart("text", text)), limits, &in)
			return in.Text, err
		},
	}
}

// arrives sends text from every place: everywhere it arrives exactly as it was sent, with the line ends of Unix, or everywhere it is
// refused. An empty path is no text but another path.
func arrives(t *testing.T, all map[string]sender, text string) (accepted bool) {
	t.Helper()
	want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	_, err := all["JSON"](t, text)
	for place, send := range all {
		got, e := send(t, text)
		if (err == nil) != (e == nil) && (text != "" || place != "path") {
			t.Errorf("%q: %s says %s, JSON says %s", text, place, said(t, e), said(t, err))
		} else if e == nil && got != want {
			t.Errorf("sent %q, got %q from the %s", text, got, place)
		}
	}
	return err == nil
}

// SYSTEM N1: each naughty string arrives exactly as it was sent, or is refused, wherever it comes from.
func TestNaughtyStrings(t *testing.T) {
	senders := senders(t)
	refused := 0
	entries := corpus[string](t, "blns.json")
	for _, naughty := range entries {
		if !arrives(t, senders, naughty) {
			refused++
		}
	}
	if refused > len(entries)/20 {
		t.Errorf("%d of %d strings are refused, most of which are what people write", refused, len(entries))
	}
}

// The inputs of the test suite of the URL standard, as text; and as addresses: what is taken for one leads where browsers go.
func TestStrangeAddresses(t *testing.T) {
	type link struct {
		Site string `json:"site" format:"uri"`
	}
	senders, s := senders(t), compile[link](t, input.ModeJSON)
	entries := corpus[struct{ Input, Protocol, Hostname string }](t, "url-wpt.json")
	taken := 0
	for _, e := range entries {
		arrives(t, senders, e.Input)
		var in link
		if err := s.Bind(postJSON(encode(t, link{e.Input})), input.Limits{}, &in); err != nil {
			said(t, err)
			continue
		}
		taken++
		u, err := url.Parse(in.Site)
		if err != nil {
			t.Fatal(err)
		}
		if ours, theirs := oneSpelling(u.Hostname()), oneSpelling(e.Hostname); u.Scheme+":" != e.Protocol || ours != theirs {
			t.Errorf("%q: we read %s and %q, a browser %s and %q", e.Input, u.Scheme, ours, e.Protocol, theirs)
		}
	}
	if taken < 70 {
		t.Errorf("%d of %d are taken, want 70 and more", taken, len(entries))
	}
}

func oneSpelling(host string) string {
	host = strings.ToLower(strings.Trim(host, "[]"))
	if address, err := netip.ParseAddr(host); err == nil {
		return address.String()
	}
	return host
}

// A mark is found again wherever somebody repeats it.
const mark = "q7Zx9K"

// SYSTEM N1, U5: whatever is wrong with what was sent, no refusal repeats six characters of it, neither outside nor in the log.
func FuzzNothingIsRepeated(f *testing.F) {
	for _, text := range []string{"", "\"", "\x00", "\xff", "\r\n", "%zz", "{", "]", ",", ":1,", "a\"; filename=\"", "\u202e", ";", "=", "&", "--b", "1e999", "https://"} {
		f.Add(text)
	}
	s := compile[nested](f, input.ModeJSON)
	form, parts, content := compile[all](f, input.ModeForm), compile[album](f, input.ModeForm), compile[scan](f, input.ModeContent)
	limits, at := input.Limits{Spool: spoolOf(f, input.SpoolConfig{})}, compile[places](f, input.ModeNone)
	f.Fuzz(func(t *testing.T, text string) {
		for _, value := range []string{mark + text, text + mark, text + mark + text, mark} {
			quoted := encode(t, value)
			for _, body := range []string{
				value, quoted, `{"id":` + value + `}`, `{"id":` + quoted + `,"text":` + quoted + `,"code":` + quoted + `,"pick":` + quoted + `,"mail":` + quoted +
					`,"site":` + quoted + `,"day":` + quoted + `,"at":` + quoted + `,"yes":` + quoted + `,"small":` + quoted + `,"real":` + quoted + `,"tags":` + quoted + `}`,
				`{"tags":[` + quoted + `,` + quoted + `],"one":{"id":` + quoted + `},"more":[` + quoted + `,{"small":"` + value + `"}]}`,
				`{"text":"` + value + `"}`, `{"small":` + value, `{"x":{"y":` + quoted + `}}`,
			} {
				silent(t, s.Bind(postJSON(body), limits, new(nested)))
				silent(t, s.Bind(post(body, "text/"+value), limits, new(nested)))
				silent(t, form.Bind(postForm(body), limits, new(all)))
			}
			in := all{ID: ProductID(value), Text: value, Lines: value, Code: value, Pick: value, Mail: value, Site: value, Day: value, Tags: []string{value, value}}
			sent := in.form()
			for _, name := range []string{"small", "big", "real", "at", "yes"} {
				sent.Set(name, value)
			}
			silent(t, form.Bind(postForm(sent.Encode()), limits, new(all)))
			for _, body := range []string{
				value, multipartBody(value), multipartBody(textPart("title", value+strings.Repeat("x", 40)), textPart("public", value)),
				multipartBody(textPart("cover", value)), multipartBody(filePart("cover", value, value+"more than 16 bytes")), multipartBody(filePart("title", value, value)),
				multipartBody("Content-Disposition: form-data; name=\"cover\"; filename=\"a\"\r\nContent-Type: " + value + "\r\n\r\n" + value + "more than 16 bytes"),
				multipartBody("X-" + value + ": " + value + "\r\n" + textPart("title", value)), multipartBody(textPart("admin", value)) + value,
			} {
				in := new(album)
				silent(t, parts.Bind(post(body, multipartB), limits, in))
				parts.Release(in)
			}
			silent(t, parts.Bind(post(value, "multipart/form-data; boundary=\""+value+"\""), limits, new(album)))
			for _, header := range []string{"Content-Type", "Content-Encoding", "Content-Range"} {
				r := post(value, "image/png")
				r.Header.Set(header, value)
				r.SetPathValue("id", product)
				in := new(scan)
				silent(t, content.Bind(r, limits, in))
				content.Release(in)
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.URL.RawQuery = "sort=" + value + "&cursor=" + url.QueryEscape(value) + "&tag=" + url.QueryEscape(value)
			r.Header.Set("If-Match", value)
			r.SetPathValue("page", "1")
			r.SetPathValue("id", product)
			silent(t, at.Bind(r, limits, new(places)))
			r.SetPathValue("id", value)
			silent(t, at.Bind(r, limits, new(places)))
		}
	})
}

// silent holds a refusal to saying nothing of what was sent.
func silent(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var r *layer.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("not a refusal: %v", err)
	}
	whole := fmt.Sprint(r.Public, r.Error(), fmt.Sprintf("%+v", r.Cause))
	for _, f := range r.Fields {
		whole += f.Detail
		if !strings.Contains(f.Name, mark) { // a plain name of a member is named, so that who wrote it can find it
			whole += f.Name
		} else if !plainNames.MatchString(f.Name) {
			t.Errorf("the refusal names a member that is not plain: %q", f.Name)
		}
	}
	if strings.Contains(whole, mark) {
		t.Errorf("the refusal says %q", whole)
	}
}
