package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/input/file/store/storetest"
)

func folder(t testing.TB, path string) *store.Dir {
	t.Helper()
	d, err := store.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestAFolderIsAStore(t *testing.T) { // SYSTEM N2
	storetest.Run(t, func(t *testing.T) store.Store { return folder(t, filepath.Join(t.TempDir(), "objects")) })
}

// at is where a key's object lies.
func at(path string, key store.Key) string {
	return filepath.Join(path, string(key.Organization), key.Name[:2], key.Name)
}

// unfinished are what was being written.
func unfinished(t *testing.T, path string) []fs.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(path, store.Unfinished))
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// out fails the test unless err is a refusal that tells no path.
func out(t *testing.T, path string, key store.Key, what string, err error) {
	t.Helper()
	var refusal *layer.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != layer.Unavailable {
		t.Errorf("%s: got %v, want unavailable", what, err)
	} else if strings.Contains(err.Error(), path) || strings.Contains(err.Error(), key.Name) {
		t.Errorf("%s: the error tells a path: %v", what, err)
	}
}

func TestNobodyElseLooksIntoTheFolder(t *testing.T) { // SYSTEM N2
	path := filepath.Join(t.TempDir(), "a", "objects")
	d, key := folder(t, path), storetest.NewKey(t)
	storetest.Put(t, d, key, []byte("x"))
	err := filepath.WalkDir(path, func(at string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", at, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := os.Chmod(path, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenDir(path); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a folder into which others look: got %v", err)
	}
}

func TestNothingUnfinishedStays(t *testing.T) { // SYSTEM N2
	path := filepath.Join(t.TempDir(), "objects")
	d, key := folder(t, path), storetest.NewKey(t)
	storetest.Put(t, d, key, []byte("x"))
	for what, err := range map[string]error{
		"the key is there": put(t, d, key, []byte("y")),
		"it is short":      d.Put(t.Context(), storetest.NewKey(t), strings.NewReader("x"), 2),
		"it is long":       d.Put(t.Context(), storetest.NewKey(t), strings.NewReader("xyz"), 2),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	func() {
		defer func() { recover() }()
		d.Put(t.Context(), storetest.NewKey(t), bomb{}, 10)
	}()
	if left := unfinished(t, path); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// bomb panics when it is read.
type bomb struct{}

func (bomb) Read([]byte) (int, error) { panic("boom") }

func TestPlantedLinksLeadNowhere(t *testing.T) { // SYSTEM N2
	const secret = "nobody's business"
	outside := t.TempDir()
	target := filepath.Join(outside, "secret")
	if err := os.WriteFile(target, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, plant := range map[string]func(t *testing.T, path string, key, theirs store.Key) error{
		"an object that leads outside": func(t *testing.T, path string, key, _ store.Key) error {
			return errors.Join(os.Remove(at(path, key)), os.Symlink(target, at(path, key)))
		},
		"an object that leads to another organization's": func(t *testing.T, path string, key, theirs store.Key) error {
			return errors.Join(os.Remove(at(path, key)), os.Symlink("../../"+string(theirs.Organization)+"/"+theirs.Name[:2]+"/"+theirs.Name, at(path, key)))
		},
		"a folder of objects that leads outside": func(t *testing.T, path string, key, _ store.Key) error {
			spread := filepath.Dir(at(path, key))
			return errors.Join(os.RemoveAll(spread), os.Symlink(outside, spread), os.WriteFile(filepath.Join(outside, key.Name), []byte(secret), 0o600))
		},
		"an organization that is a link to another": func(t *testing.T, path string, key, theirs store.Key) error {
			ours := filepath.Join(path, string(key.Organization))
			return errors.Join(os.RemoveAll(ours), os.Symlink(string(theirs.Organization), ours))
		},
		"an object that is a folder": func(t *testing.T, path string, key, _ store.Key) error {
			return errors.Join(os.Remove(at(path, key)), os.Mkdir(at(path, key), 0o700))
		},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "objects")
			d, key := folder(t, path), storetest.NewKey(t)
			theirs := store.Key{Organization: storetest.Globex, Name: key.Name} // the same name, so that a link leads to it
			storetest.Put(t, d, key, []byte("ours"))
			storetest.Put(t, d, theirs, []byte(secret))
			if err := plant(t, path, key, theirs); err != nil {
				t.Fatal(err)
			}
			if reached, err := os.ReadFile(at(path, key)); string(reached) != secret && what != "an object that is a folder" {
				t.Fatalf("the plant does not work: %q, %v", reached, err)
			}
			_, err := storetest.Read(t.Context(), d, key)
			out(t, path, key, "opening", err)
			out(t, path, key, "deleting", d.Delete(t.Context(), key))
			if err := put(t, d, key, []byte("new")); err == nil {
				t.Error("it is stored where the link leads")
			}
			if got, err := storetest.Read(t.Context(), d, theirs); string(got) != secret || err != nil {
				t.Errorf("theirs: %q, %v", got, err)
			}
			if got, err := os.ReadFile(target); string(got) != secret || err != nil {
				t.Errorf("outside: %q, %v", got, err)
			}
		})
	}
}

func TestALinkThatIsPlantedInTheMiddleLeadsNowhere(t *testing.T) { // SYSTEM N2
	path := filepath.Join(t.TempDir(), "objects")
	d, key, other := folder(t, path), storetest.NewKey(t), storetest.NewKey(t)
	storetest.Put(t, d, key, []byte("ours"))
	storetest.Put(t, d, other, []byte("theirs"))
	found, err := os.Lstat(at(path, key))
	if err != nil {
		t.Fatal(err)
	}
	name, _ := filepath.Rel(path, at(path, key))
	if c, err := d.OpenFound(name, found); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	to, _ := filepath.Rel(filepath.Dir(at(path, key)), at(path, other))
	if err := errors.Join(os.Rename(at(path, key), at(path, key)+".away"), os.Symlink(to, at(path, key))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenFound(name, found); err == nil {
		t.Error("it is opened")
	}
}

func TestAPlantedLinkForWhatIsUnfinishedIsNotFollowed(t *testing.T) { // SYSTEM N2
	path, outside := filepath.Join(t.TempDir(), "objects"), t.TempDir()
	if err := errors.Join(os.Mkdir(path, 0o700), os.Symlink(outside, filepath.Join(path, store.Unfinished))); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenDir(path); err == nil {
		t.Error("the folder is opened")
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside: %v, %v", entries, err)
	}
}

func TestLeftoversGoAfterADay(t *testing.T) { // SYSTEM N2
	path := filepath.Join(t.TempDir(), "objects")
	folder(t, path)
	plant := func(name string, age time.Duration) {
		at := filepath.Join(path, store.Unfinished, name)
		then := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(at, []byte("half"), 0o600), os.Chtimes(at, then, then)); err != nil {
			t.Fatal(err)
		}
	}
	plant("young", store.Leftover-time.Minute)
	plant("old", store.Leftover+time.Minute)
	folder(t, path)
	if left := unfinished(t, path); len(left) != 1 || left[0].Name() != "young" {
		t.Errorf("left: %v", left)
	}
	for i := range store.MaxSwept + 10 {
		plant(fmt.Sprint(i), store.Leftover+time.Hour)
	}
	folder(t, path)
	if left := len(unfinished(t, path)); left < 11 || left > 12 {
		t.Errorf("%d of many are left, and one start looks at %d", left, store.MaxSwept)
	}
	folder(t, path)
	if left := len(unfinished(t, path)); left != 1 {
		t.Errorf("%d are left after another start", left)
	}
}

func TestAFolderThatGoesAwayIsUnavailable(t *testing.T) { // SYSTEM N2
	path := filepath.Join(t.TempDir(), "objects")
	d, key := folder(t, path), storetest.NewKey(t)
	storetest.Put(t, d, key, []byte("x"))
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	out(t, path, key, "storing", put(t, d, storetest.NewKey(t), []byte("x")))
	d.Close()
	for doing, err := range everything(t, d, key) {
		out(t, path, key, doing, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenDir(file); err == nil {
		t.Error("a file is opened as a folder")
	}
}

func TestTwoProgramsShareAFolder(t *testing.T) { // SYSTEM N2
	path := filepath.Join(t.TempDir(), "objects")
	one, two, key := folder(t, path), folder(t, path), storetest.NewKey(t)
	storetest.Put(t, one, key, []byte("x"))
	if err := put(t, two, key, []byte("y")); !errors.Is(err, store.ErrExists) {
		t.Errorf("got %v", err)
	}
	if got, err := storetest.Read(t.Context(), two, key); string(got) != "x" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestANameCannotBeGuessed(t *testing.T) { // SYSTEM N2
	seen := map[string]bool{}
	for range 1000 {
		name, err := store.NewName(".jpg")
		if err != nil || len(name) != 30 || seen[name] || !strings.HasSuffix(name, ".jpg") {
			t.Fatalf("got %q, %v", name, err)
		}
		seen[name] = true
	}
	for _, extension := range []string{"", ".", "jpg", ".JPG", "..", "./x", ".a/b", ".tar.gz", ".abcdefghi", ".a\x00", ".a\n", ".é"} {
		if name, err := store.NewName(extension); err == nil {
			t.Errorf("the extension %q makes %q", extension, name)
		}
	}
}

func FuzzAKeyIsNoPath(f *testing.F) { // SYSTEM N2
	name, err := store.NewName(".jpg")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(storetest.Acme), name)
	f.Add("..", "../"+name)
	f.Add(string(storetest.Acme)+"\n", name+"\x00")
	f.Fuzz(func(t *testing.T, organization, name string) {
		o, spread, n, err := store.Key{Organization: layer.OrgID(organization), Name: name}.Parts()
		if err != nil {
			if !errors.Is(err, store.ErrKey) || o+spread+n != "" {
				t.Errorf("got %q, %q, %q, %v", o, spread, n, err)
			}
			return
		}
		path := o + "/" + spread + "/" + n
		if !filepath.IsLocal(path) || filepath.ToSlash(filepath.Clean(path)) != path || strings.Count(path, "/") != 2 || strings.ToLower(path) != path ||
			o != organization || n != name || len(spread) != 2 || len(path) > 36+1+2+1+35 {
			t.Errorf("%q and %q make %q", organization, name, path)
		}
	})
}

func FuzzAContentIsExact(f *testing.F) { // SYSTEM N2
	f.Add([]byte("abc"), int64(3), 2)
	f.Add([]byte(""), int64(0), 1)
	f.Add([]byte("abc"), int64(2), 1)
	f.Add([]byte("abc"), int64(4), 7)
	d := folder(f, filepath.Join(f.TempDir(), "objects"))
	f.Fuzz(func(t *testing.T, content []byte, size int64, step int) {
		key := storetest.NewKey(t)
		err := d.Put(t.Context(), key, &steps{content, max(1, step%17)}, size)
		if exact := size == int64(len(content)); exact != (err == nil) || !exact && !errors.Is(err, store.ErrSize) {
			t.Fatalf("%d bytes announced as %d: %v", len(content), size, err)
		}
		if got, err := storetest.Read(t.Context(), d, key); size == int64(len(content)) && (err != nil || !bytes.Equal(got, content)) {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// steps is read a few bytes at a time, the last of them with the end.
type steps struct {
	left []byte
	step int
}

func (s *steps) Read(p []byte) (int, error) {
	n := copy(p[:min(s.step, len(p))], s.left)
	if s.left = s.left[n:]; len(s.left) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func BenchmarkDir(b *testing.B) {
	for _, size := range []int{10 << 10, 200 << 10, 5 << 20} {
		content := storetest.Random(size)
		b.Run(fmt.Sprintf("put %d KB", size>>10), func(b *testing.B) {
			d := folder(b, filepath.Join(b.TempDir(), "objects"))
			b.SetBytes(int64(size))
			for b.Loop() {
				storetest.Put(b, d, storetest.NewKey(b), content)
			}
		})
		b.Run(fmt.Sprintf("open and read %d KB", size>>10), func(b *testing.B) {
			d, key := folder(b, filepath.Join(b.TempDir(), "objects")), storetest.NewKey(b)
			storetest.Put(b, d, key, content)
			b.SetBytes(int64(size))
			for b.Loop() {
				c, err := d.Open(b.Context(), key)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, c); n != int64(size) || err != nil {
					b.Fatal(n, err)
				}
				c.Close()
			}
		})
	}
}
