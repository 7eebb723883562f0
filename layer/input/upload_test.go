package input_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/redoubt-dev/redoubt/layer/input"
)

// An album is what a form with files can carry.
type album struct {
	Title  string         `json:"title" maxLength:"40"`
	Note   string         `json:"note,omitempty" maxLength:"4000" multiline:"true"`
	Public bool           `json:"public"`
	Cover  input.Upload   `json:"cover,omitempty" maxBytes:"16" accept:"image/png,.pdf" doc:"A picture."`
	Photos []input.Upload `json:"photos,omitempty" maxItems:"2" maxBytes:"2048" accept:"image/*"`
}

func textPart(name, value string) string {
	return "Content-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value
}

func filePart(name, fileName, content string) string {
	return "Content-Disposition: form-data; name=\"" + name + "\"; filename=\"" + fileName + "\"\r\nContent-Type: image/png\r\n\r\n" + content
}

const multipartB = "multipart/form-data; boundary=b"

func postParts(parts ...string) *http.Request { return post(multipartBody(parts...), multipartB) }

// content reads an upload as a handler would.
func content(t testing.TB, u input.Upload) string {
	t.Helper()
	if u.IsZero() {
		return ""
	}
	all, err := io.ReadAll(u.File())
	if err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(all); u.SHA256() != want || u.Size() != int64(len(all)) {
		t.Errorf("%q: of %d bytes with digest %x, it says %d and %x", u.Name(), len(all), want, u.Size(), u.SHA256())
	}
	return string(all)
}

// SYSTEM N1, N2, T6: a form with files is held to its type, part by part.
func TestFormsWithFiles(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	title := textPart("title", "Tea")
	head := "Content-Disposition: form-data; name=\"cover\"; filename=\"a\"\r\n"
	tooLong := "too-large: cover must have at most 16 bytes"
	for _, c := range []struct{ name, body, want string }{
		{"an honest form", multipartBody(textPart("_token", "x"), title, filePart("cover", "a.png", "PNG")), "accepted"},
		{"a form without files", multipartBody(title), "accepted"},
		{"text behind a file", multipartBody(filePart("cover", "a.png", "PNG"), title, textPart("_token", "x")), "accepted"},
		{"a file input that nobody used", multipartBody(title, filePart("cover", "", ""), filePart("photos", "", "")), "accepted"},
		{"a file of exactly its bound", multipartBody(title, filePart("cover", "a", strings.Repeat("x", 16))), "accepted"},
		{"as many files as are taken", multipartBody(title, filePart("photos", "a", "1"), filePart("photos", "b", "2")), "accepted"},
		{"a file that holds something like the boundary", multipartBody(title, filePart("cover", "a", "\r\n--c\r\n-\r\n--")), "accepted"},
		{"no media type of the file's", multipartBody(title, head+"\r\nx"), "accepted"},

		{"a file one byte beyond its bound", multipartBody(title, filePart("cover", "a", strings.Repeat("x", 17))), tooLong},
		{"a large file, and more that is wrong", multipartBody(filePart("cover", "a", strings.Repeat("x", 1<<17)), textPart("admin", "1")), tooLong},
		{"a file where there is text", multipartBody(filePart("title", "a", "Tea")), "invalid: title must not be a file"},
		{"a nameless file where there is text", multipartBody(filePart("title", "", "")), "invalid: title must not be a file"},
		{"text where there is a file", multipartBody(title, textPart("cover", "x")), "invalid: cover must be a file"},
		{"a member nobody declared", multipartBody(title, textPart("admin", "1")), "invalid: admin is not a known field"},
		{"two members nobody declared, before a wrong one", multipartBody(textPart("admin", "1"), textPart("role", "x"), title, textPart("public", "7")), "invalid: public must be true or false; admin is not a known field; role is not a known field"},
		{"a file nobody declared", multipartBody(title, filePart("shell", "a.php", "<?php")), "invalid: shell is not a known field"},
		{"a name that is markup", multipartBody(title, textPart("<b>", "1")), "invalid: has an unknown field"},
		{"the token as a file", multipartBody(title, filePart("_token", "a", "x")), "invalid: _token is not a known field"},
		{"the token twice", multipartBody(title, textPart("_token", "a"), textPart("_token", "b")), "invalid: _token is not a known field"},
		{"a second file where there is one", multipartBody(title, filePart("cover", "a", "1"), filePart("cover", "b", "2")), "invalid: cover must be given once"},
		{"a file too many", multipartBody(title, filePart("photos", "a", "1"), filePart("photos", "b", "2"), filePart("photos", "c", "3")),
			"invalid: photos must have at most 2 entries"},
		{"text that is wrong beside a file", multipartBody(textPart("public", "7"), filePart("cover", "a", "1")),
			"invalid: title is required; public must be true or false"},
		{"a value twice", multipartBody(title, title), "invalid: title must be given once"},
		{"10,000 tiny parts", multipartBody(title + strings.Repeat("\r\n--b\r\n"+filePart("cover", "", ""), 10_000)), "too-large"},

		{"two dispositions", multipartBody(title, "Content-Disposition: form-data; name=\"title\"\r\n"+head+"\r\nx"), "malformed"},
		{"a part without a name", multipartBody(title, "Content-Disposition: form-data; filename=\"a\"\r\n\r\nx"), "malformed"},
		{"an attachment", multipartBody(title, "Content-Disposition: attachment; name=\"cover\"; filename=\"a\"\r\n\r\nx"), "malformed"},
		{"an extended file name", multipartBody(title, "Content-Disposition: form-data; name=\"cover\"; filename*=UTF-8''a.png\r\n\r\nx"), "malformed"},
		{"an extended file name beside a plain one", multipartBody(title, "Content-Disposition: form-data; name=\"cover\"; filename=\"a\"; filename*=UTF-8''b\r\n\r\nx"), "malformed"},
		{"a file name in pieces", multipartBody(title, "Content-Disposition: form-data; name=\"cover\"; filename*0=\"a\"; filename*1=\".php\"\r\n\r\nx"), "malformed"},
		{"two file names", multipartBody(title, "Content-Disposition: form-data; name=\"cover\"; filename=\"a\"; filename=\"b\"\r\n\r\nx"), "malformed"},
		{"two file names in other spellings", multipartBody(title, "Content-Disposition: form-data; name=\"cover\"; filename=\"a\"; FileName=\"b\"\r\n\r\nx"), "malformed"},
		{"a file name that does not end", multipartBody(title, "Content-Disposition: form-data; name=\"cover\"; filename=\"a\\\"\r\n\r\nx"), "malformed"},
		{"another parameter", multipartBody(title, "Content-Disposition: form-data; name=\"cover\"; filename=\"a\"; size=1\r\n\r\nx"), "malformed"},
		{"parts in a part", multipartBody(title, head+"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--"), "malformed"},
		{"a media type that is none", multipartBody(title, head+"Content-Type: image/\r\n\r\nx"), "malformed"},
		{"quoted-printable", multipartBody(title, head+"Content-Transfer-Encoding: quoted-printable\r\n\r\n=41"), "malformed"},
		{"base64", multipartBody(title, head+"Content-Transfer-Encoding: base64\r\n\r\nQQ=="), "malformed"},
		{"another header", multipartBody(title, head+"Content-Length: 1\r\n\r\nx"), "malformed"},
		{"a head without an end", multipartBody(title, head+"Content-Type: "+strings.Repeat("a", 1<<17)), "malformed"},
		{"a head of endless lines", multipartBody(title, head+strings.Repeat("Content-Type: a/b\r\n", 1<<12)), "malformed"},
		{"text before the first boundary", "\r\n" + multipartBody(title), "malformed"},
		{"a long text before the first boundary", strings.Repeat("x", 1<<17) + multipartBody(title), "malformed"},
		{"lone line feeds", strings.ReplaceAll(multipartBody(title, filePart("cover", "a", "x")), "\r\n", "\n"), "malformed"},
		{"a lone line feed behind the first boundary", "--b\n" + multipartBody(title)[5:], "malformed"},
		{"text behind the last boundary", multipartBody(title) + "x", "malformed"},
		{"line ends behind the last boundary", multipartBody(title) + "\r\n", "malformed"},
		{"a part behind the last boundary", multipartBody(title) + multipartBody(filePart("cover", "a", "x")), "malformed"},
		{"space behind the last boundary", strings.TrimSuffix(multipartBody(title), "\r\n") + "  \r\n", "malformed"},
		{"no last boundary", strings.TrimSuffix(multipartBody(title, filePart("cover", "a", "x")), "--\r\n"), "malformed"},
		{"half a file", multipartBody(title, filePart("cover", "a", "x"))[:150], "malformed"},
		{"no boundary at all", strings.Repeat("x", 1<<17), "malformed"},
		{"nothing in it", "--b--\r\n", "malformed"},
		{"nothing", "", "invalid: title is required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			limits := input.Limits{Spool: spoolOf(t, input.SpoolConfig{Dir: dir})}
			for _, chunked := range []bool{false, true} {
				var in album
				r := post(c.body, multipartB)
				if chunked { // and in pieces, as a network brings it
					r.ContentLength, r.Body = -1, io.NopCloser(iotest.OneByteReader(strings.NewReader(c.body)))
				}
				err := s.Bind(r, limits, &in)
				got := said(t, err)
				if got != c.want {
					t.Errorf("chunked %t: got  %s\nwant %s", chunked, got, c.want)
				}
				if err != nil && !reflect.DeepEqual(in, album{}) {
					t.Errorf("a refused form has left %+v", in)
				}
				empty(t, dir)
				if err := s.Release(&in); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// SYSTEM N2: what has been received is what was sent, and nothing of it has a name in any folder.
func TestFilesArrive(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	dir := t.TempDir()
	limits := input.Limits{Spool: spoolOf(t, input.SpoolConfig{Dir: dir})}
	long := strings.Repeat("\r\n--", 512)
	r := postParts(filePart("photos", "b.png", long), textPart("title", "Tea"), textPart("note", "a\r\nb"), textPart("public", "on"),
		textPart("_token", "t"), filePart("cover", "C:\\a.png", "\x00\r\n-"), filePart("photos", "", "nameless"))
	var in album
	if err := s.Bind(r, limits, &in); err != nil {
		t.Fatal(said(t, err))
	}
	empty(t, dir)
	if in.Title != "Tea" || in.Note != "a\nb" || !in.Public || in.Cover.Name() != "a.png" || len(in.Photos) != 2 {
		t.Errorf("got %+v", in)
	}
	for u, want := range map[input.Upload]string{in.Cover: "\x00\r\n-", in.Photos[0]: long, in.Photos[1]: "nameless"} {
		if got := content(t, u); got != want {
			t.Errorf("%q holds %q, want %q", u.Name(), got, want)
		}
	}
	if _, err := in.Cover.File().WriteAt([]byte("x"), 0); err == nil {
		t.Error("the file that is handed out can be written")
	}

	if got := r.PostFormValue("_token"); got != "t" {
		t.Errorf("the token reads %q", got)
	}
	if r.MultipartForm == nil || len(r.MultipartForm.File) > 0 {
		t.Error("the form that is left has files, or is none")
	}
	for range 2 {
		if err := s.Release(&in); err != nil {
			t.Error(err)
		}
	}
	if _, err := in.Cover.File().Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a released file reads: %v", err)
	}
	if err := in.Cover.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheZeroUploadIsNoFile(t *testing.T) {
	var u input.Upload
	if !u.IsZero() || u.Name() != "" || u.Size() != 0 || u.SHA256() != [32]byte{} || u.File() != nil || u.Close() != nil {
		t.Error("it is something")
	}
	s := compile[album](t, input.ModeForm)
	for _, dst := range []any{nil, album{}, (*album)(nil), new(flat), new(album)} {
		if err := s.Release(dst); err != nil {
			t.Errorf("%T: %v", dst, err)
		}
	}
}

// SYSTEM N2: a name is for showing, whatever it was made for.
func TestNamesOfFiles(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	limits := input.Limits{Spool: spoolOf(t, input.SpoolConfig{})}
	for _, c := range []struct{ name, sent, want string }{
		{"an honest name", "My café, 2026 (1).png", "My café, 2026 (1).png"},
		{"a name in another script", "ملف.pdf", "ملف.pdf"},
		{"a star", "a*b.png", "a*b.png"},
		{"a quotation mark as browsers write it", "a%22b.png", "a%22b.png"},
		{"a path", "../../etc/passwd", "passwd"},
		{"a path of Windows", `C:\x`, "x"},
		{"a path on a share", `\\host\share\a.png`, "a.png"},
		{"a mixed path", `..\../a.png`, "a.png"},
		{"only a path", "../../", ""},
		{"the folder above", "..", ""},
		{"a folder", `a\`, "a"},
		{"a NUL", "a.png\x00.php", "malformed"},
		{"an escape character", "a\x1b[2J.png", "malformed"},
		{"a control character of C1", "a\u0085b.png", "ab.png"},
		{"text that reads backwards", "\u202egnp.exe", "gnp.exe"},
		{"an isolate and a mark", "a\u2067\u200f\u061cb.png", "ab.png"},
		{"line separators", "a\u2028b\u2029c", "abc"},
		{"invalid UTF-8", "a\xff\xfeb", "ab"},
		{"nothing but what is not shown", "\u200b\u202e", ""},
		{"space around", "  a.png  ", "a.png"},
		{"4 KB", strings.Repeat("é", 2000) + ".png", strings.Repeat("é", 120)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in album
			sent := strings.ReplaceAll(c.sent, `\`, `\\`)
			got := said(t, s.Bind(postParts(textPart("title", "Tea"), filePart("cover", sent, "x")), limits, &in))
			if got == "accepted" {
				got = in.Cover.Name()
			}
			s.Release(&in)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	var in album // as old browsers wrote it, without escapes
	if err := s.Bind(postParts(textPart("title", "Tea"), filePart("cover", `C:\dev\go.txt`, "x")), limits, &in); err != nil || in.Cover.Name() != "go.txt" {
		t.Errorf("got %q, %v", in.Cover.Name(), err)
	}
	s.Release(&in)
}

// SYSTEM T6: the bounds of the form are those of its texts; each file has its own.
func TestBoundsOfFormsWithFiles(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	spool := spoolOf(t, input.SpoolConfig{})
	parts := []string{textPart("title", "Tea"), textPart("note", strings.Repeat("x", 3000)), filePart("cover", "a", strings.Repeat("x", 16)), filePart("photos", "b", strings.Repeat("x", 2048))}
	around := int64(len(multipartBody(parts...)) - 16 - 2048)
	for _, c := range []struct {
		name   string
		limits input.Limits
		want   string
	}{
		{"exactly what is allowed", input.Limits{Body: around}, "accepted"},
		{"one byte more", input.Limits{Body: around - 1}, "too-large"},
		{"much more", input.Limits{Body: 10}, "too-large"},
		{"as many parts as are allowed", input.Limits{Values: 4}, "accepted"},
		{"one part more", input.Limits{Values: 3}, "too-large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.limits.Spool = spool
			for _, chunked := range []bool{false, true} {
				var in album
				r := postParts(parts...)
				if chunked {
					r.ContentLength = -1
				}
				if got := said(t, s.Bind(r, c.limits, &in)); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
				s.Release(&in)
			}
		})
	}
	if got, want := s.MaxBody(input.Limits{Body: 100}), int64(100+16+2*2048); got != want {
		t.Errorf("the most is %d, want %d", got, want)
	}
	read := 0
	r := postParts(parts...)
	r.ContentLength, r.Body = s.MaxBody(input.Limits{})+1, io.NopCloser(counting{r.Body, &read})
	if got := said(t, s.Bind(r, input.Limits{Spool: spool}, new(album))); got != "too-large" || read > 0 {
		t.Errorf("a declared length beyond the most: got %s after %d bytes", got, read)
	}
}

type counting struct {
	io.Reader
	n *int
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	*c.n += n
	return n, err
}

// A refused form is shown again without its files: no browser would let a page choose them.
func TestARefusedFormWithFilesIsShownAgain(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	limits := input.Limits{Spool: spoolOf(t, input.SpoolConfig{})}
	for name, c := range map[string]struct {
		parts []string
		want  map[string]string
	}{
		"a wrong text": {[]string{textPart("title", strings.Repeat("x", 41)), textPart("note", "a\r\nb\x00"), filePart("cover", "a", "x"), textPart("_token", "t")},
			map[string]string{"title": strings.Repeat("x", 41), "note": "a\nb"}},
		"a wrong file": {[]string{textPart("title", "Tea"), filePart("cover", "a", strings.Repeat("x", 17)), textPart("note", "unread")},
			map[string]string{"title": "Tea"}},
		"no text": {[]string{filePart("cover", "a", "x")}, map[string]string{}},
	} {
		r := postParts(c.parts...)
		if err := s.Bind(r, limits, new(album)); err == nil {
			t.Errorf("%s is accepted", name)
		}
		for range 2 {
			if got := s.Typed(r, limits); !maps.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
		}
	}
}

// SYSTEM N1: only multipart/form-data brings files, with a boundary that everybody reads alike.
func TestMediaTypesOfFormsWithFiles(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	limits := input.Limits{Spool: spoolOf(t, input.SpoolConfig{})}
	for contentType, want := range map[string]string{
		"multipart/form-data; boundary=b":                                   "accepted",
		"Multipart/Form-Data; BOUNDARY=\"b\"":                               "accepted",
		"application/x-www-form-urlencoded":                                 "unsupported",
		"multipart/mixed; boundary=b":                                       "unsupported",
		"multipart/form-data":                                               "unsupported",
		"multipart/form-data; boundary=b; charset=utf-8":                    "unsupported",
		"multipart/form-data; boundary=\"" + strings.Repeat("b", 71) + "\"": "unsupported",
		"multipart/form-data; boundary=\"b \"":                              "unsupported",
		"multipart/form-data; boundary=\"b\xc3\xa9\"":                       "unsupported",
		"multipart/form-data; boundary=\"b;c\"":                             "unsupported",
		"":                                                                  "unsupported",
	} {
		var in album
		if got := said(t, s.Bind(post(multipartBody(textPart("title", "Tea")), contentType), limits, &in)); got != want {
			t.Errorf("%q: got %s, want %s", contentType, got, want)
		}
	}
	long := strings.Repeat("b", 70)
	r := post(strings.ReplaceAll(multipartBody(textPart("title", "Tea")), "--b", "--"+long), "multipart/form-data; boundary="+long)
	if got := said(t, s.Bind(r, limits, new(album))); got != "accepted" {
		t.Errorf("a boundary of 70 characters: %s", got)
	}
	r = postParts(textPart("title", "Tea"))
	r.Header.Set("Content-Encoding", "gzip")
	if got := said(t, s.Bind(r, limits, new(album))); got != "unsupported" {
		t.Errorf("an encoded form: %s", got)
	}
	for want, s := range map[string]*input.Schema{
		"multipart/form-data":               s,
		"application/x-www-form-urlencoded": compile[flat](t, input.ModeForm),
		"":                                  compile[flat](t, input.ModeJSON),
	} {
		if got := s.Enctype(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
