package input_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
)

// A spoolOf is a spool in a folder of the test's own, which has to be empty at every moment and have all its room at the end.
func spoolOf(t testing.TB, c input.SpoolConfig) *input.Spool {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	s, err := input.NewSpool(c)
	if err != nil {
		t.Fatal(err)
	}
	files, room := s.Left()
	t.Cleanup(func() {
		if f, r := s.Left(); f != files || r != room {
			t.Errorf("the spool is left with room for %d files and %d bytes, want %d and %d", f, r, files, room)
		}
		empty(t, c.Dir)
	})
	return s
}

func empty(t testing.TB, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the spool's folder has %v, %v", entries, err)
	}
}

// SYSTEM T6: of what has no end, a little is read.
func TestEndlessBodies(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	limits := input.Limits{Body: 64 << 10, Spool: spoolOf(t, input.SpoolConfig{})}
	start := "--b\r\n" + textPart("title", "Tea") + "\r\n--b\r\n"
	for _, c := range []struct {
		name, start, then string
		want              string
		most              int
	}{
		{"without a boundary", "", "x", "malformed", 64 << 10},
		{"a head", start + "Content-Disposition: ", "x", "malformed", 64 << 10},
		{"lines of a head", start, "A: b\r\n", "malformed", 64 << 10},
		{"a file", start + filePart("cover", "a", ""), "x", "too-large: cover must have at most 16 bytes", 64 << 10},
		{"a text", start + textPart("note", ""), "x", "too-large", 128 << 10},
		{"an unknown text", start + textPart("admin", ""), "x", "too-large", 128 << 10},
		{"an unknown file", start + filePart("admin", "a", ""), "x", "invalid: admin is not a known field", 64 << 10},
		{"parts", start, filePart("photos", "", "") + "\r\n--b\r\n", "too-large", 160 << 10},
		{"texts", start, textPart("note", "x") + "\r\n--b\r\n", "too-large", 128 << 10},
		{"space behind a boundary", "--b\r\n" + textPart("title", "Tea") + "\r\n--b", " ", "malformed", 64 << 10},
		{"line ends behind the last boundary", start[:len(start)-2] + "--", "\r\n", "malformed", 64 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			read := 0
			r := post("", multipartB)
			r.ContentLength, r.Body = -1, io.NopCloser(counting{io.MultiReader(strings.NewReader(c.start), &endless{text: c.then}), &read})
			if got := said(t, s.Bind(r, limits, new(album))); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if read > c.most {
				t.Errorf("%d bytes have been read, want at most %d", read, c.most)
			}
		})
	}
}

type endless struct {
	text string
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = e.text[e.at]
		e.at = (e.at + 1) % len(e.text)
	}
	return len(b), nil
}

// SYSTEM T6: a client that breaks off, or falls silent, leaves nothing, and is waited for no longer than its request lives.
func TestClientsThatGoInTheMiddle(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	limits := input.Limits{Spool: spoolOf(t, input.SpoolConfig{})}
	begun := "--b\r\n" + filePart("photos", "a", "whole") + "\r\n--b\r\n" + filePart("photos", "b", "half")
	for _, c := range []struct {
		err    error
		want   string
		public string
	}{
		{io.ErrUnexpectedEOF, "malformed", "The body did not arrive whole."},
		{os.ErrDeadlineExceeded, "malformed", "The body did not arrive in time."},
		{&http.MaxBytesError{Limit: 1}, "too-large", "The body is too large."},
	} {
		for _, at := range []int{0, 3, 40, len(begun) - 40, len(begun)} {
			r := post("", multipartB)
			r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(begun[:at]), failing{c.err})), -1
			err := s.Bind(r, limits, new(album))
			var refused *layer.Refusal
			if got := said(t, err); got != c.want || !errors.As(err, &refused) || refused.Public != c.public {
				t.Errorf("%v at %d: got %s: %+v", c.err, at, got, refused)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		silent, end := io.Pipe()
		defer end.Close()
		go end.Write([]byte(begun))
		r := post("", multipartB).WithContext(ctx)
		r.Body, r.ContentLength = silent, -1
		start := time.Now()
		err := s.Bind(r, limits, new(album))
		if got := said(t, err); got != "malformed" || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("got %s after %s: %v", got, time.Since(start), err)
		}
	})
}

// The same over a network: the connection is cut in the middle of a file.
func TestAConnectionThatIsCut(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	spool := spoolOf(t, input.SpoolConfig{})
	refused, arrived := make(chan error, 1), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		refused <- s.Bind(r, input.Limits{Spool: spool}, new(album))
	}))
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: 4000\r\n\r\n--b\r\n%s", multipartB, filePart("photos", "a", strings.Repeat("x", 1500)))
	<-arrived
	c.Close()
	if got := said(t, <-refused); got != "malformed" {
		t.Errorf("got %s", got)
	}
}

// SYSTEM T6: who finds the spool full is asked to come again, and those before are not disturbed.
func TestAFullSpool(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	spool := spoolOf(t, input.SpoolConfig{Bytes: 20, Files: 2})
	limits := input.Limits{Spool: spool}
	bind := func(parts ...string) (in album, got string) {
		err := s.Bind(postParts(append(parts, textPart("title", "Tea"))...), limits, &in)
		return in, said(t, err)
	}
	first, got := bind(filePart("cover", "a", strings.Repeat("a", 16)))
	if got != "accepted" {
		t.Fatal(got)
	}
	if _, got := bind(filePart("cover", "b", strings.Repeat("b", 5))); got != "unavailable" {
		t.Errorf("more bytes than there is room for: %s", got)
	}
	second, got := bind(filePart("cover", "b", strings.Repeat("b", 4)))
	if got != "accepted" {
		t.Errorf("as many bytes as there is room for: %s", got)
	}
	if _, got := bind(filePart("cover", "c", "")); got != "unavailable" {
		t.Errorf("one file more than there is room for: %s", got)
	}
	if got := content(t, first.Cover); got != strings.Repeat("a", 16) {
		t.Errorf("the first file holds %q", got)
	}
	s.Release(&first)
	third, got := bind(filePart("cover", "c", strings.Repeat("c", 16)))
	if got != "accepted" {
		t.Errorf("when there is room again: %s", got)
	}
	alone := compile[scan](t, input.ModeContent)
	r := post("more than 16", "image/png")
	r.SetPathValue("id", product)
	r.URL.RawQuery = "page=1"
	if got := said(t, alone.Bind(r, limits, new(scan))); got != "unavailable" {
		t.Errorf("a body that is a file: %s", got)
	}
	s.Release(&second)
	s.Release(&third)
}

func TestASpoolThatCannotBe(t *testing.T) {
	for name, c := range map[string]input.SpoolConfig{
		"a folder that is not there": {Dir: filepath.Join(t.TempDir(), "none")},
		"a negative number of bytes": {Bytes: -1},
		"a negative number of files": {Files: -1},
	} {
		if _, err := input.NewSpool(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := input.NewSpool(input.SpoolConfig{Bytes: -1, Files: -1, Dir: "/dev/null/x"}); strings.Count(fmt.Sprint(err), "\n") != 2 {
		t.Errorf("not all problems at once: %v", err)
	}
	s := compile[album](t, input.ModeForm)
	var refused *layer.Refusal
	if err := s.Bind(postParts(textPart("title", "Tea")), input.Limits{}, new(album)); err == nil || errors.As(err, &refused) {
		t.Errorf("no spool for files: got %v, want an error that is nobody's refusal", err)
	}
	dir := filepath.Join(t.TempDir(), "secret-place")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	spool, err := input.NewSpool(input.SpoolConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	err = s.Bind(postParts(textPart("title", "Tea"), filePart("cover", "a", "x")), input.Limits{Spool: spool}, new(album))
	if got := said(t, err); got != "unavailable" || strings.Contains(err.Error(), "secret-place") {
		t.Errorf("a folder that has gone: got %s: %v", got, err)
	}
}

func TestManyUploadsAtOnce(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	limits := input.Limits{Spool: spoolOf(t, input.SpoolConfig{Bytes: 1 << 16, Files: 16})}
	accepted, refused := 0, 0
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			var in album
			want := strings.Repeat(string(rune('a'+i%26)), 2000)
			r := postParts(textPart("title", "Tea"), filePart("photos", "a", want), filePart("photos", "b", want)).WithContext(t.Context())
			err := s.Bind(r, limits, &in)
			mu.Lock()
			defer mu.Unlock()
			switch got := said(t, err); {
			case got == "unavailable":
				refused++
			case got != "accepted" || content(t, in.Photos[0]) != want || content(t, in.Photos[1]) != want:
				t.Errorf("got %s, and another's file", got)
			default:
				accepted++
			}
			s.Release(&in)
		})
	}
	all.Wait()
	if accepted == 0 || accepted+refused != 64 {
		t.Errorf("%d accepted, %d refused", accepted, refused)
	}
}

// SYSTEM N2: a file is found by nobody who lists the folder, and does not survive the process that has not let it go.
func TestSpooledFilesHaveNoName(t *testing.T) {
	s := compile[album](t, input.ModeForm)
	dir := t.TempDir()
	spool := spoolOf(t, input.SpoolConfig{Dir: dir})
	arriving, sending := io.Pipe()
	seen := make(chan int)
	go func() {
		io.WriteString(sending, "--b\r\n"+textPart("title", "Tea")+"\r\n--b\r\n"+filePart("photos", "a", strings.Repeat("x", 2000)))
		io.WriteString(sending, strings.Repeat("y", 10)) // read only when what came before has been taken in
		files, _ := spool.Left()
		entries, _ := os.ReadDir(dir)
		seen <- files
		seen <- len(entries)
		io.WriteString(sending, "\r\n--b--\r\n")
		sending.Close()
	}()
	done := make(chan error)
	var in album
	go func() {
		r := post("", multipartB)
		r.ContentLength, r.Body = -1, arriving
		done <- s.Bind(r, input.Limits{Spool: spool}, &in)
	}()
	if files := <-seen; files != 63 {
		t.Errorf("there is room for %d more files in the middle, want 63", files)
	}
	if entries := <-seen; entries != 0 {
		t.Errorf("the folder has %d files in the middle", entries)
	}
	if err := <-done; err != nil {
		t.Fatal(said(t, err))
	}
	if got := content(t, in.Photos[0]); utf8.RuneCountInString(got) != 2010 {
		t.Errorf("%d characters have arrived", len(got))
	}
	s.Release(&in)
}

// SYSTEM T6: a file costs disk and no memory, whether it comes alone or in a form.
func TestALargeFileCostsLittleMemory(t *testing.T) {
	type alone struct {
		File input.Upload `body:"content" maxBytes:"67108864"`
	}
	type inForm struct {
		File input.Upload `json:"file" maxBytes:"67108864"`
	}
	const size, most = 16 << 20, 2 << 20
	limits := input.Limits{Spool: spoolOf(t, input.SpoolConfig{})}
	file := func() io.Reader { return io.LimitReader(&endless{text: "x\r\n-"}, size) }
	part := filePart("file", "a", "")
	for name, c := range map[string]struct {
		s    *input.Schema
		kind string
		body io.Reader
		in   any
	}{
		"alone":     {compile[alone](t, input.ModeContent), "image/png", file(), new(alone)},
		"in a form": {compile[inForm](t, input.ModeForm), multipartB, io.MultiReader(strings.NewReader("--b\r\n"+part), file(), strings.NewReader("\r\n--b--\r\n")), new(inForm)},
	} {
		r := post("", c.kind).WithContext(t.Context())
		r.ContentLength, r.Body = -1, io.NopCloser(c.body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.s.Bind(r, limits, c.in)
		runtime.ReadMemStats(&after)
		if got := said(t, err); got != "accepted" {
			t.Errorf("%s: %s", name, got)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > most {
			t.Errorf("%s: %d bytes of memory for %d of file", name, used, size)
		}
		if err := c.s.Release(c.in); err != nil {
			t.Error(err)
		}
	}
}

// SYSTEM N2, T6: a program's own file is bounded like a stranger's.
func TestAFileOfAProgramsOwn(t *testing.T) {
	spool := spoolOf(t, input.SpoolConfig{Files: 1})
	u, err := spool.Receive("../picture.png", strings.NewReader("12345"), 5)
	if err != nil || u.Name() != "picture.png" || u.Size() != 5 || content(t, u) != "12345" {
		t.Errorf("got %q, %d bytes, %v", u.Name(), u.Size(), err)
	}
	if _, err := spool.Receive("", strings.NewReader("1"), 5); said(t, err) != "unavailable" {
		t.Errorf("beyond the spool: %v", err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := spool.Receive("", strings.NewReader("123456"), 5); said(t, err) != "too-large" {
		t.Errorf("beyond its bound: %v", err)
	}
	if u, err := spool.Receive("", strings.NewReader("1"), 5); err != nil || u.Close() != nil {
		t.Errorf("what was refused has kept its place: %v", err)
	}
}
