package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/redoubt-dev/redoubt/internal/reals3"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/input/file/store/storetest"
)

func bucket(t testing.TB, at *reals3.Server, change func(*store.S3Config)) *store.S3 {
	t.Helper()
	cfg := store.S3Config{Endpoint: at.Endpoint, Region: at.Region, Bucket: at.Bucket, AccessKey: at.AccessKey, SecretKey: at.SecretKey,
		Patience: 20 * time.Second, InsecureLoopback: true}
	if change != nil {
		change(&cfg)
	}
	s, err := store.OpenS3(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestABucketIsAStore(t *testing.T) { // SYSTEM N2
	at := reals3.Start(t, reals3.Config{})
	storetest.Run(t, func(t *testing.T) store.Store {
		return bucket(t, at, func(cfg *store.S3Config) { cfg.Prefix = "shop/files" })
	})
}

const (
	patience = 300 * time.Millisecond     // where the test waits for its end
	patient  = 10 * time.Second           // where a busy machine must not be what is noticed
	longest  = 3*patience + 2*time.Second // for what belongs together, with the pauses of the client
	longer   = longest + time.Second
)

// between is a store whose server is reached through a faulty one.
func between(t *testing.T, patience time.Duration) (*reals3.Server, *faulty, *store.S3) {
	t.Helper()
	at := reals3.Start(t, reals3.Config{})
	f := newFaulty(t, at, httptest.NewServer)
	return at, f, bucket(t, at, func(cfg *store.S3Config) { cfg.Endpoint, cfg.Patience = f.Listener.Addr().String(), patience })
}

// unavailable fails the test unless err is the refusal for a storage that does not answer, which tells nobody where it is.
func unavailable(t *testing.T, at *reals3.Server, key store.Key, what string, err error) {
	t.Helper()
	var refusal *layer.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != layer.Unavailable || refusal.By != layer.Input || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) {
		t.Errorf("%s: got %v, want unavailable", what, err)
		return
	}
	for _, secret := range []string{at.SecretKey, at.AccessKey, at.Bucket, key.Name, string(key.Organization), at.Folder} {
		if strings.Contains(err.Error(), secret) || strings.Contains(fmt.Sprintf("%+v", err), secret) {
			t.Errorf("%s: the error tells what it must not: %v", what, err)
		}
	}
}

func put(t *testing.T, s store.Store, key store.Key, content []byte) error {
	return s.Put(t.Context(), key, bytes.NewReader(content), int64(len(content)))
}

// everything asks a store for everything that it does, at once.
func everything(t *testing.T, s store.Store, key store.Key) map[string]error {
	var opening, deleting, storing error
	var all sync.WaitGroup
	all.Go(func() { _, opening = storetest.Read(t.Context(), s, key) })
	all.Go(func() { deleting = s.Delete(t.Context(), key) })
	all.Go(func() { storing = put(t, s, storetest.NewKey(t), []byte("x")) })
	all.Wait()
	return map[string]error{"opening": opening, "deleting": deleting, "storing": storing}
}

func TestAServerThatFailsIsUnavailableAndNotEmpty(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at, f, s := between(t, patience)
	calm := bucket(t, at, func(cfg *store.S3Config) { cfg.Endpoint = f.Listener.Addr().String() }) // the same way, with time
	key, content := storetest.NewKey(t), storetest.Random(300<<10)
	storetest.Put(t, calm, key, content)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("we went elsewhere, with %s", r.Method) }))
	defer elsewhere.Close()
	for what, ask := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"it hangs up": func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		"it says nothing": func(_ http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body) // and so hears of the end of the connection
			<-r.Context().Done()
			return true
		},
		"it is at fault": func(w http.ResponseWriter, r *http.Request) bool {
			http.Error(w, "our bucket "+at.Bucket+" "+r.URL.Path, http.StatusInternalServerError)
			return true
		},
		"it is at fault, in XML": func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "<Error><Code>Slow\nDown %s</Code><Message>%s</Message></Error>", at.AccessKey, at.AccessKey)
			return true
		},
		"it forbids": func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Message>%s</Message></Error>", at.AccessKey)
			return true
		},
		"it has lost the bucket": func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<Error><Code>NoSuchBucket</Code><Message>x</Message></Error>")
			return true
		},
		"it sends us elsewhere": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		},
		"its head never ends": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
			return false
		},
		"it speaks another protocol": func(w http.ResponseWriter, r *http.Request) bool {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				fmt.Fprint(conn, "220 mail.test ESMTP\r\n")
				conn.Close()
			}
			return true
		},
	} {
		t.Run(what, func(t *testing.T) {
			f.asks(ask)
			began := time.Now()
			for doing, err := range everything(t, s, key) {
				unavailable(t, at, key, doing, err)
			}
			if took := time.Since(began); took > 3*longest {
				t.Errorf("it took %v", took)
			}
			if heads := f.count(http.MethodHead); heads > 3*3*2 { // net/http asks once more where a connection that it kept turns out to be closed
				t.Errorf("%d times asked", heads)
			}
			f.good()
			if got, err := storetest.Read(t.Context(), calm, key); err != nil || !bytes.Equal(got, content) {
				t.Errorf("when it is well again: %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestADeadServerIsUnavailable(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at := reals3.Start(t, reals3.Config{})
	s, key := bucket(t, at, nil), storetest.NewKey(t)
	storetest.Put(t, s, key, []byte("x"))
	at.Stop()
	for doing, err := range everything(t, s, key) {
		unavailable(t, at, key, doing, err)
	}
}

func TestABucketThatIsGoneIsNotEmpty(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at := reals3.Start(t, reals3.Config{})
	s, key := bucket(t, at, nil), storetest.NewKey(t)
	storetest.Absent(t, s, key)
	if err := os.RemoveAll(at.Folder); err != nil {
		t.Fatal(err)
	}
	for doing, err := range everything(t, s, key) {
		unavailable(t, at, key, doing, err)
	}
}

func TestAWrongKeyIsRefused(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at := reals3.Start(t, reals3.Config{})
	key := storetest.NewKey(t)
	storetest.Put(t, bucket(t, at, nil), key, []byte("x"))
	s := bucket(t, at, func(cfg *store.S3Config) { cfg.SecretKey += "x" })
	for doing, err := range everything(t, s, key) {
		unavailable(t, at, key, doing, err)
	}
	if printed := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(printed, at.SecretKey) {
		t.Error("printing the store prints its key")
	}
}

func TestAPassingFaultIsNotNoticed(t *testing.T) { // SYSTEM N2
	t.Parallel()
	_, f, s := between(t, patient)
	key, content := storetest.NewKey(t), storetest.Random(300<<10)
	storetest.Put(t, s, key, content)
	var asked atomic.Int32
	f.asks(func(w http.ResponseWriter, r *http.Request) bool {
		if asked.Add(1)%3 == 0 {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	if got, err := storetest.Read(t.Context(), s, key); err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Error(err)
	}
}

func TestAnAnswerThatBreaksOffIsAskedForAgain(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at, f, s := between(t, patient)
	key, content := storetest.NewKey(t), storetest.Random(300<<10)
	storetest.Put(t, s, key, content)
	for _, c := range []struct {
		name   string
		breaks int
		good   bool
	}{{"twice", 2, true}, {"always", 1 << 30, false}} {
		var gets int
		f.answers(func(r *http.Response) {
			if r.Request.Method == http.MethodGet {
				if gets++; gets <= c.breaks {
					r.Body = struct {
						io.Reader
						io.Closer
					}{io.LimitReader(r.Body, 100<<10), r.Body}
				}
			}
		})
		got, err := storetest.Read(t.Context(), s, key)
		if c.good && (err != nil || !bytes.Equal(got, content)) {
			t.Errorf("%s: got %d bytes, %v", c.name, len(got), err)
		}
		if !c.good {
			unavailable(t, at, key, c.name, err)
		}
		if gets > 3 {
			t.Errorf("%s: asked %d times", c.name, gets)
		}
	}
}

func TestAnAnswerThatStopsFlowingEnds(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at, f, s := between(t, patience)
	key := storetest.NewKey(t)
	storetest.Put(t, bucket(t, at, nil), key, storetest.Random(300<<10))
	f.asks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		w.Header().Set("Content-Range", "bytes 0-307199/307200")
		w.Header().Set("Content-Length", "307200")
		w.WriteHeader(http.StatusPartialContent)
		for r.Context().Err() == nil { // a byte now and then, for ever
			w.Write([]byte("x"))
			http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Millisecond)
		}
		return true
	})
	began := time.Now()
	_, err := storetest.Read(t.Context(), s, key)
	unavailable(t, at, key, "reading", err)
	if took := time.Since(began); took > 2*longest {
		t.Errorf("it took %v", took)
	}
}

func TestAnUploadThatNobodyTakesEnds(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at, f, s := between(t, patience)
	f.asks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			time.Sleep(longer) // without reading, so that nothing tells it of the end
		}
		return r.Method == http.MethodPut
	})
	began, key := time.Now(), storetest.NewKey(t)
	err := put(t, s, key, storetest.Random(100<<10))
	unavailable(t, at, key, "storing", err)
	if took := time.Since(began); took > 2*longest || f.count(http.MethodPut) > 1 {
		t.Errorf("it took %v, and %d puts", took, f.count(http.MethodPut))
	}
	f.good()
	reader, writer := io.Pipe() // a content that is too slow ends as well
	defer writer.Close()
	time.AfterFunc(longer, func() { writer.CloseWithError(errors.New("the person went away")) })
	unavailable(t, at, key, "storing slowly", s.Put(t.Context(), key, io.MultiReader(strings.NewReader("x"), reader), 2))
	storetest.Absent(t, bucket(t, at, nil), key)
}

// TestNobodyReadsOnAfterAnEarlyAnswer: HTTP's client returns as soon as there is an answer, and goes on to send what it has.
func TestNobodyReadsOnAfterAnEarlyAnswer(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at, f, s := between(t, patient)
	f.asks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusForbidden)
		}
		return r.Method == http.MethodPut
	})
	for range 5 {
		key, content := storetest.NewKey(t), storetest.Watch(bytes.NewReader(storetest.Random(4<<20)))
		err := s.Put(t.Context(), key, content, 4<<20)
		if content.ReadLate() {
			t.Errorf("it is read after put returned %v", err)
		}
		unavailable(t, at, key, "storing", err)
	}
}

// A flip turns one bit of what is read.
type flip struct {
	io.ReadCloser
	at int
}

func (f *flip) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if f.at >= 0 && f.at < n {
		p[f.at] ^= 1
	}
	f.at -= n
	return n, err
}

func TestWrongBytesAreNoticed(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at, f, s := between(t, patient)
	content := storetest.Random(2<<20 + 1000)
	key := storetest.NewKey(t)
	f.asks(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			r.Body = &flip{r.Body, 1 << 20}
		}
		return false
	})
	unavailable(t, at, key, "storing", put(t, s, key, content))
	f.good()
	storetest.Absent(t, s, key)
	storetest.Put(t, s, key, content)
	for _, c := range []struct{ piece, byte int }{{1, 0}, {1, 1<<20 - 1}, {2, 77}, {3, 999}} {
		begin := fmt.Sprintf("bytes=%d-", (c.piece-1)<<20)
		f.answers(func(r *http.Response) {
			if strings.HasPrefix(r.Request.Header.Get("Range"), begin) {
				r.Body = &flip{r.Body, c.byte}
			}
		})
		o, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(o)
		unavailable(t, at, key, fmt.Sprintf("reading piece %d", c.piece), err)
		if len(got) != 2<<20 {
			t.Errorf("piece %d: %d bytes were handed out, and the last piece must not be", c.piece, len(got))
		}
	}
	f.good()
	if got, err := storetest.Read(t.Context(), s, key); err != nil || !bytes.Equal(got, content) {
		t.Errorf("unharmed: got %d bytes, %v", len(got), err)
	}
}

func TestPiecesInAnyOrderAreNoChange(t *testing.T) { // SYSTEM N2
	t.Parallel()
	_, _, s := between(t, patient)
	key, content := storetest.NewKey(t), storetest.Random(2<<20)
	storetest.Put(t, s, key, content)
	c, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, from := range []int64{1 << 20, 1<<20 - 1, 0, 1 << 20, 5, 1<<20 + 5, 0} {
		if _, err := c.Seek(from, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		part := make([]byte, 1<<20-5)
		if _, err := io.ReadFull(c, part); err != nil || !bytes.Equal(part, content[from:from+1<<20-5]) {
			t.Errorf("from %d: %v", from, err)
		}
	}
}

// spoil changes the one object in a folder.
func spoil(t *testing.T, folder string) {
	t.Helper()
	spoiled := 0
	filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(path, ".bin") {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			content[len(content)/2] ^= 1
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			spoiled++
		}
		return err
	})
	if spoiled != 1 {
		t.Fatalf("%d objects spoiled", spoiled)
	}
}

func TestADiskThatForgetsIsNoticed(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at := reals3.Start(t, reals3.Config{})
	s, key := bucket(t, at, nil), storetest.NewKey(t)
	storetest.Put(t, s, key, storetest.Random(100_000))
	spoil(t, at.Folder)
	got, err := storetest.Read(t.Context(), s, key)
	unavailable(t, at, key, "reading", err)
	if len(got) != 0 {
		t.Errorf("%d bytes were handed out", len(got))
	}
}

func TestAServerThatAnswersSomethingElseIsNoticed(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at, f, s := between(t, patient)
	key := storetest.NewKey(t)
	storetest.Put(t, s, key, storetest.Random(3000))
	for what, answer := range map[string]func(r *http.Response){
		"the whole instead of a range": func(r *http.Response) { r.StatusCode = 200; r.Header.Del("Content-Range") },
		"another range":                func(r *http.Response) { r.Header.Set("Content-Range", "bytes 1-3000/3000") },
		"of another object":            func(r *http.Response) { r.Header.Set("Content-Range", "bytes 0-2999/4000") },
	} {
		f.answers(func(r *http.Response) {
			if r.Request.Method == http.MethodGet {
				answer(r)
			}
		})
		_, err := storetest.Read(t.Context(), s, key)
		unavailable(t, at, key, what, err)
	}
	f.asks(func(w http.ResponseWriter, r *http.Request) bool { // an object of a size that is not
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Length", "1152921504606846976")
			w.Header().Set("ETag", `"x"`)
			w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		}
		return r.Method == http.MethodHead
	})
	f.answers(func(*http.Response) {})
	_, err := storetest.Read(t.Context(), s, key)
	unavailable(t, at, key, "a size that is not", err)
}

func TestAnObjectThatIsReplacedBehindUsIsNoticed(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at, f, s := between(t, patient)
	key := storetest.NewKey(t)
	storetest.Put(t, s, key, storetest.Random(3000))
	c, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, s, key, storetest.Random(3000))
	f.forget()
	if _, err := c.Seek(1000, io.SeekStart); err != nil { // where no checksum is compared
		t.Fatal(err)
	}
	_, err = io.ReadAll(c)
	unavailable(t, at, key, "reading", err)
	if f.count(http.MethodGet) == 0 {
		t.Error("the server was not asked")
	}
}

func TestTwoQuestionsKeepAnObjectFromBeingOverwritten(t *testing.T) { // SYSTEM N2
	t.Parallel()
	_, f, s := between(t, patient)
	key := storetest.NewKey(t)
	storetest.Put(t, s, key, []byte("first"))
	f.forget()
	if err := put(t, s, key, []byte("second")); !errors.Is(err, store.ErrExists) || f.count(http.MethodPut) != 0 {
		t.Errorf("the first question: got %v after %d puts", err, f.count(http.MethodPut))
	}
	f.asks(func(w http.ResponseWriter, r *http.Request) bool { // the answer to the first is out of date
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusNotFound)
		}
		return r.Method == http.MethodHead
	})
	if err := put(t, s, key, []byte("second")); !errors.Is(err, store.ErrExists) || f.count(http.MethodPut) != 1 {
		t.Errorf("the second question: got %v after %d puts", err, f.count(http.MethodPut))
	}
	f.good()
	if got, err := storetest.Read(t.Context(), s, key); string(got) != "first" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestWhatIsSentWithAPut(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at := reals3.Start(t, reals3.Config{})
	f := newFaulty(t, at, httptest.NewServer)
	for _, encrypted := range []bool{false, true} {
		s := bucket(t, at, func(cfg *store.S3Config) { cfg.Endpoint, cfg.Encrypt = f.Listener.Addr().String(), encrypted })
		var head http.Header
		f.asks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				head = r.Header.Clone()
			}
			return r.Method == http.MethodPut // and the server answers that it has it, before it has
		})
		unavailable(t, at, store.Key{Name: "?", Organization: "?"}, "an early answer", put(t, s, storetest.NewKey(t), storetest.Random(8<<20)))
		for name, want := range map[string]string{
			"If-None-Match":                "*",
			"X-Amz-Trailer":                "x-amz-checksum-crc32c",
			"Content-Type":                 "application/octet-stream",
			"X-Amz-Server-Side-Encryption": map[bool]string{true: "AES256"}[encrypted],
		} {
			if got := head.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	}
}

func TestAPrefixPartsTwoPrograms(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at := reals3.Start(t, reals3.Config{})
	key := storetest.NewKey(t)
	one := bucket(t, at, func(cfg *store.S3Config) { cfg.Prefix = "one" })
	two := bucket(t, at, func(cfg *store.S3Config) { cfg.Prefix = "two/files" })
	storetest.Put(t, one, key, []byte("x"))
	storetest.Absent(t, two, key)
	storetest.Put(t, two, key, []byte("y"))
	for _, path := range []string{"one", "two/files"} {
		if _, err := os.Stat(filepath.Join(at.Folder, path, string(key.Organization), key.Name[:2], key.Name)); err != nil {
			t.Error(err)
		}
	}
}

func TestABucketThatKeepsVersionsForgetsToo(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at := reals3.Start(t, reals3.Config{Versioning: true})
	client, err := minio.New(at.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(at.AccessKey, at.SecretKey, ""), Region: at.Region})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.EnableVersioning(t.Context(), at.Bucket); err != nil {
		t.Fatal(err)
	}
	versions := func() (n int) {
		for o := range client.ListObjects(t.Context(), at.Bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			n++
		}
		return n
	}
	s, key := bucket(t, at, nil), storetest.NewKey(t)
	storetest.Put(t, s, key, []byte("x"))
	if n := versions(); n != 1 {
		t.Fatalf("%d versions of one object", n)
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if n := versions(); n != 0 {
		t.Errorf("%d versions of what was deleted", n)
	}
}

func TestNotMoreThanSoManyConnectionsAtOnce(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at, f, _ := between(t, patient)
	s := bucket(t, at, func(cfg *store.S3Config) { cfg.Endpoint, cfg.Patience = f.Listener.Addr().String(), patient })
	var now, most atomic.Int32
	f.asks(func(http.ResponseWriter, *http.Request) bool {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(50 * time.Millisecond)
		return false
	})
	var all sync.WaitGroup
	for range 2 * store.MaxConnections {
		key := storetest.NewKey(t)
		all.Go(func() {
			if _, err := s.Open(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	if got := most.Load(); got > store.MaxConnections || got < store.MaxConnections/8 {
		t.Errorf("%d at once, want at most %d", got, store.MaxConnections)
	}
}

func TestACallerWhoGoesWhileTheServerIsSilentIsLetGo(t *testing.T) { // SYSTEM N2
	t.Parallel()
	at, f, _ := between(t, patient)
	s := bucket(t, at, func(cfg *store.S3Config) { cfg.Endpoint = f.Listener.Addr().String() })
	f.asks(func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := s.Open(ctx, storetest.NewKey(t)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > longest {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
}
