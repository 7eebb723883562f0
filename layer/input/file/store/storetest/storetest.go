// Package storetest holds what every store.Store must do, as a test that each runs: the folder, the S3 server, and whatever wraps one.
// It exists so that a new Store is attacked in the same ways as the old ones. Each attack has beside it what must still work.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
)

// Two organizations.
const (
	Acme   layer.OrgID = "0b8e3f6a-6c7d-4f0e-9d43-1f2a3b4c5d6e"
	Globex layer.OrgID = "5f0c1d2e-3a4b-4c5d-8e6f-708192a3b4c5"
)

const (
	large     = 25 << 20
	mayAlloc  = 12 << 20 // for a large object, one way: it passes through and is never held
	contested = 8        // puts of one key at once
)

// Run tries the Stores that open returns, an empty one for each case.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		try  func(t *testing.T, s store.Store)
	}{
		{"what is put is what is opened", roundTrip},
		{"what is no key opens, stores and deletes nothing", noKeys},
		{"a name of one organization is none in another", otherOrganization},
		{"an object is never overwritten", never},
		{"of many puts of one key at once one wins", oneWins},
		{"a content of another length than announced is not stored", otherLength},
		{"a reader that fails in the middle leaves nothing", failing},
		{"a put that is given up in the middle leaves nothing", givenUp},
		{"a caller who has gone is not served", gone},
		{"nobody reads on after put has returned", noLateReads},
		{"what is deleted is gone, and deleting it again is no error", deleted},
		{"a reader of what is deleted meanwhile gets the truth or an error", deletedWhileRead},
		{"any part can be read by seeking", parts},
		{"a server of files answers ranges", ranges},
		{"a large object passes through without being held", largeObject},
	} {
		t.Run(c.name, func(t *testing.T) { c.try(t, open(t)) })
	}
}

// NewKey is a new key of Acme's.
func NewKey(t testing.TB) store.Key {
	t.Helper()
	name, err := store.NewName(".bin")
	if err != nil {
		t.Fatal(err)
	}
	return store.Key{Organization: Acme, Name: name}
}

// Random is a content that cannot be guessed.
func Random(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}

// Put stores content, or ends the test.
func Put(t testing.TB, s store.Store, key store.Key, content []byte) {
	t.Helper()
	if err := s.Put(t.Context(), key, bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
}

// Read opens and reads the whole.
func Read(ctx context.Context, s store.Store, key store.Key) ([]byte, error) {
	c, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err == nil && int64(len(b)) != c.Size {
		err = fmt.Errorf("got %d bytes of a content of %d", len(b), c.Size)
	}
	return b, err
}

// Absent fails the test if there is something under key, or if a put of it is still in the way.
func Absent(t testing.TB, s store.Store, key store.Key) {
	t.Helper()
	if _, err := Read(t.Context(), s, key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("there is something: got %v", err)
	}
}

func same(t testing.TB, s store.Store, key store.Key, want []byte) {
	t.Helper()
	got, err := Read(t.Context(), s, key)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes and %v, want the %d that were stored", len(got), err, len(want))
	}
}

func roundTrip(t *testing.T, s store.Store) {
	for _, size := range []int{0, 1, 511, 64 << 10, 64<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20} {
		key, content := NewKey(t), Random(size)
		Put(t, s, key, content)
		same(t, s, key, content)
	}
	key, content := NewKey(t), Random(100)
	if err := s.Put(t.Context(), key, iotest.DataErrReader(iotest.OneByteReader(bytes.NewReader(content))), 100); err != nil {
		t.Errorf("a reader by single bytes: %v", err)
	}
	same(t, s, key, content)
}

func noKeys(t *testing.T, s store.Store) {
	good, acme := NewKey(t), string(Acme)
	for what, pair := range map[string][2]string{
		"nothing":                         {},
		"no name":                         {acme, ""},
		"no organization":                 {"", good.Name},
		"the folder above":                {acme, ".."},
		"a way up":                        {acme, "../" + string(Globex) + "/" + good.Name[:2] + "/" + good.Name},
		"a way up after a good name":      {acme, good.Name + "/../../x"},
		"a way up in the organization":    {"../" + acme, good.Name},
		"an organization that is a way":   {"..", good.Name},
		"an absolute path":                {acme, "/etc/passwd"},
		"an absolute organization":        {"/etc", good.Name},
		"a path of Windows":               {acme, `..\..\` + good.Name},
		"a device of Windows":             {acme, "nul"},
		"a stream of Windows":             {acme, good.Name + "::$DATA"},
		"a NUL":                           {acme, good.Name + "\x00"},
		"a NUL before the extension":      {acme, strings.Replace(good.Name, ".", "\x00.", 1)},
		"a line break at its end":         {acme, good.Name + "\n"},
		"a line break in an organization": {acme + "\n", good.Name},
		"a name in capitals":              {acme, strings.ToUpper(good.Name)},
		"an organization in capitals":     {strings.ToUpper(acme), good.Name},
		"a percent sign":                  {acme, "%2e%2e%2f" + good.Name},
		"no extension":                    {acme, good.Name[:26]},
		"two extensions":                  {acme, good.Name + ".exe"},
		"a long extension":                {acme, good.Name[:26] + ".abcdefghi"},
		"a short name":                    {acme, good.Name[1:]},
		"a turned name":                   {acme, "\u202e" + good.Name[1:]},
		"4 KB":                            {acme, strings.Repeat("a", 4096) + ".bin"},
		"a query":                         {acme, good.Name + "?versions"},
		"what is unfinished":              {".unfinished", good.Name},
		"a pattern":                       {acme, "*.bin"},
	} {
		key := store.Key{Organization: layer.OrgID(pair[0]), Name: pair[1]}
		_, err := s.Open(t.Context(), key)
		if !errors.Is(err, store.ErrKey) {
			t.Errorf("%s: opening it: got %v", what, err)
		}
		if err := s.Delete(t.Context(), key); !errors.Is(err, store.ErrKey) {
			t.Errorf("%s: deleting it: got %v", what, err)
		}
		if err := s.Put(t.Context(), key, strings.NewReader("x"), 1); !errors.Is(err, store.ErrKey) {
			t.Errorf("%s: storing it: got %v", what, err)
		}
		if err != nil && (len(key.Name) > 2 && strings.Contains(err.Error(), key.Name) || len(key.Organization) > 2 && strings.Contains(err.Error(), string(key.Organization))) {
			t.Errorf("%s: the error says what was submitted", what)
		}
	}
	Put(t, s, good, []byte("x"))
	same(t, s, good, []byte("x"))
}

func otherOrganization(t *testing.T, s store.Store) {
	ours, content := NewKey(t), Random(1000)
	theirs := store.Key{Organization: Globex, Name: ours.Name}
	Put(t, s, ours, content)
	Absent(t, s, theirs)
	if err := s.Delete(t.Context(), theirs); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
	Put(t, s, theirs, []byte("theirs"))
	same(t, s, ours, content)
	same(t, s, theirs, []byte("theirs"))
}

func never(t *testing.T, s store.Store) {
	key := NewKey(t)
	Put(t, s, key, []byte("first"))
	for _, second := range []string{"second", "", "first"} {
		if err := s.Put(t.Context(), key, strings.NewReader(second), int64(len(second))); !errors.Is(err, store.ErrExists) {
			t.Errorf("putting %q: got %v", second, err)
		}
	}
	same(t, s, key, []byte("first"))
}

func oneWins(t *testing.T, s store.Store) {
	key := NewKey(t)
	var won atomic.Pointer[[]byte]
	var wins atomic.Int32
	var all sync.WaitGroup
	for range contested {
		content := Random(200 << 10)
		all.Go(func() {
			switch err := s.Put(t.Context(), key, bytes.NewReader(content), int64(len(content))); {
			case err == nil:
				wins.Add(1)
				won.Store(&content)
			case !errors.Is(err, store.ErrExists):
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	if wins.Load() != 1 {
		t.Fatalf("%d won", wins.Load())
	}
	same(t, s, key, *won.Load())
}

func otherLength(t *testing.T, s store.Store) {
	content := Random(300 << 10)
	for _, size := range []int64{-1, 0, 1, 64 << 10, 300<<10 - 1, 300<<10 + 1, 1 << 20, store.Largest + 1} {
		key := NewKey(t)
		if err := s.Put(t.Context(), key, bytes.NewReader(content), size); !errors.Is(err, store.ErrSize) {
			t.Errorf("announced as %d: got %v", size, err)
		}
		Absent(t, s, key)
	}
	key := NewKey(t)
	if err := s.Put(t.Context(), key, iotest.OneByteReader(bytes.NewReader(content[:2])), 1); !errors.Is(err, store.ErrSize) {
		t.Errorf("two bytes, one by one, announced as one: got %v", err)
	}
	Absent(t, s, key)
	if err := s.Put(t.Context(), key, bytes.NewReader(nil), 1); !errors.Is(err, store.ErrSize) {
		t.Errorf("nothing, announced as one byte: got %v", err)
	}
	Absent(t, s, key)
	Put(t, s, key, content)
}

// stuck returns nothing and no error for ever.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func failing(t *testing.T, s store.Store) {
	why := &layer.Refusal{By: layer.Transport, Reason: layer.TooLarge, Public: "Too large."}
	content := Random(300 << 10)
	for _, at := range []int{0, 1, 100 << 10, 300<<10 - 1, 300 << 10} {
		key := NewKey(t)
		err := s.Put(t.Context(), key, io.MultiReader(bytes.NewReader(content[:at]), iotest.ErrReader(why)), 300<<10)
		var refusal *layer.Refusal
		if !errors.As(err, &refusal) || refusal != why {
			t.Errorf("after %d bytes: got %v, want the reader's own refusal", at, err)
		}
		Absent(t, s, key)
	}
	key := NewKey(t)
	if err := s.Put(t.Context(), key, stuck{}, 10); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
	Absent(t, s, key)
	Put(t, s, key, content)
}

// reading calls each when bytes have been read for the first time.
type reading struct {
	io.Reader
	once sync.Once
	each func()
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.once.Do(r.each)
	return n, err
}

func givenUp(t *testing.T, s store.Store) {
	key, content := NewKey(t), Random(2<<20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := s.Put(ctx, key, &reading{Reader: bytes.NewReader(content), each: cancel}, 2<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	Absent(t, s, key)
	Put(t, s, key, content)
	same(t, s, key, content)
}

func gone(t *testing.T, s store.Store) {
	key := NewKey(t)
	Put(t, s, key, []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, s, key); !errors.Is(err, context.Canceled) {
		t.Errorf("opening: got %v", err)
	}
	if err := s.Delete(ctx, key); !errors.Is(err, context.Canceled) {
		t.Errorf("deleting: got %v", err)
	}
	if err := s.Put(ctx, NewKey(t), strings.NewReader("x"), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("storing: got %v", err)
	}
	same(t, s, key, []byte("x"))
}

// A Watched is a slow reader that notes whether somebody reads it after it was let go.
type Watched struct {
	r    io.Reader
	done atomic.Bool
	late atomic.Bool
}

// Watch makes a Watched of r.
func Watch(r io.Reader) *Watched { return &Watched{r: r} }

// Read implements io.Reader.
func (w *Watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	time.Sleep(3 * time.Millisecond)
	if w.done.Load() {
		w.late.Store(true)
	}
	return n, err
}

// ReadLate lets it go, waits a little, and reports whether somebody was still reading.
func (w *Watched) ReadLate() bool {
	w.done.Store(true)
	time.Sleep(10 * time.Millisecond)
	return w.late.Load()
}

// noLateReads: the reader is an upload whose request ends when Put returns. HTTP's client may go on to read a body afterwards.
func noLateReads(t *testing.T, s store.Store) {
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		w := Watch(&reading{Reader: bytes.NewReader(Random(4 << 20)), each: func() { time.AfterFunc(10*time.Millisecond, cancel) }})
		err := s.Put(ctx, NewKey(t), w, 4<<20)
		cancel()
		if w.ReadLate() {
			t.Errorf("it is read after put returned %v", err)
		}
	}
}

func deleted(t *testing.T, s store.Store) {
	key := NewKey(t)
	Put(t, s, key, []byte("x"))
	for range 2 {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		Absent(t, s, key)
	}
	Put(t, s, key, []byte("again"))
	same(t, s, key, []byte("again"))
}

func deletedWhileRead(t *testing.T, s store.Store) {
	key, content := NewKey(t), Random(5<<20)
	Put(t, s, key, content)
	c, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := make([]byte, 1000)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	Absent(t, s, key)
	rest, err := io.ReadAll(c)
	if got = append(got, rest...); !bytes.HasPrefix(content, got) || err == nil && len(got) != len(content) {
		t.Errorf("got %d bytes and %v, which are not what was stored", len(got), err)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func parts(t *testing.T, s store.Store) {
	thorough(t, s)
	const size = 3<<20 + 17
	key, content := NewKey(t), Random(size)
	Put(t, s, key, content)
	c, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []int64{size - 1, 0, 1 << 20, 1<<20 - 1, 64 << 10, 2<<20 + 5, size} {
		at, err := c.Seek(from-size, io.SeekEnd)
		if err != nil || at != from {
			t.Errorf("seeking to %d: at %d, %v", from, at, err)
		}
		got := make([]byte, min(100, size-from))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, content[from:from+int64(len(got))]) {
			t.Errorf("from %d: other bytes, %v", from, err)
		}
	}
	if at, err := c.Seek(size+10, io.SeekStart); err != nil || at != size+10 {
		t.Errorf("seeking beyond the end: at %d, %v", at, err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("beyond the end: %d bytes, %v", n, err)
	}
	if _, err := c.Seek(-1, io.SeekStart); err == nil {
		t.Error("there is something before the beginning")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("it can be read when it is closed: %v", err)
	}
}

// thorough reads and seeks in every way that the standard library knows, byte by byte too, so in a small object.
func thorough(t *testing.T, s store.Store) {
	t.Helper()
	key, content := NewKey(t), Random(20_000)
	Put(t, s, key, content)
	c, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := iotest.TestReader(c, content); err != nil {
		t.Error(err)
	}
}

func ranges(t *testing.T, s store.Store) {
	key, content := NewKey(t), Random(2<<20)
	Put(t, s, key, content)
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := s.Open(r.Context(), key)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		http.ServeContent(w, r, "", time.Time{}, c)
	})
	for asked, want := range map[string][]byte{
		"":                      content,
		"bytes=0-0":             content[:1],
		"bytes=1048570-1048590": content[1048570:1048591],
		"bytes=-5":              content[2<<20-5:],
		"bytes=2097151-":        content[2<<20-1:],
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Range", asked)
		w := httptest.NewRecorder()
		server(w, r)
		if !bytes.Equal(w.Body.Bytes(), want) {
			t.Errorf("%q: got status %d and %d bytes, want %d", asked, w.Code, w.Body.Len(), len(want))
		}
	}
}

// allocated is what f allocates, which no peak of memory can exceed.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func largeObject(t *testing.T, s store.Store) {
	key := NewKey(t)
	sent, got := sha256.New(), sha256.New()
	in := allocated(func() {
		r := io.TeeReader(io.LimitReader(rand.Reader, large), sent)
		if err := s.Put(t.Context(), key, r, large); err != nil {
			t.Fatal(err)
		}
	})
	out := allocated(func() {
		c, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n, err := io.Copy(got, c); err != nil || n != large || c.Size != large {
			t.Errorf("got %d bytes of %d, %v", n, c.Size, err)
		}
	})
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		t.Error("another content comes back")
	}
	t.Logf("allocated for %d MB: %d KB on the way in, %d KB on the way out", large>>20, in>>10, out>>10)
	if in > mayAlloc || out > mayAlloc {
		t.Errorf("more than %d KB", mayAlloc>>10)
	}
}
