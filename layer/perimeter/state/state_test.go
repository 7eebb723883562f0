package state_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

func drawer(t *testing.T, limit int) (*state.Drawer, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "edge")
	f, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Drawer("links", limit)
	if err != nil {
		t.Fatal(err)
	}
	return d, filepath.Join(dir, "links")
}

// SYSTEM P4: of many who use a thing at once, one has used it.
func TestOfTwentyWhoTakeAnEntryOneGetsIt(t *testing.T) {
	d, _ := drawer(t, 10)
	for range 20 {
		if err := d.Create("one", []byte("content"), time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		var took atomic.Int32
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if content, err := d.Take("one"); err == nil && string(content) == "content" {
					took.Add(1)
				} else if !errors.Is(err, state.ErrNone) {
					t.Errorf("who came too late got %q, %v", content, err)
				}
			})
		}
		if all.Wait(); took.Load() != 1 {
			t.Fatalf("%d took it", took.Load())
		}
	}
}

func TestOfTwentyWhoCreateAnEntryOneDoes(t *testing.T) {
	d, _ := drawer(t, 100)
	var made atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := d.Create("one", nil, time.Time{}); err == nil {
				made.Add(1)
			} else if !errors.Is(err, state.ErrExists) {
				t.Error(err)
			}
		})
	}
	if all.Wait(); made.Load() != 1 {
		t.Fatalf("%d made it", made.Load())
	}
}

func TestAnEntryIsOverAtItsTime(t *testing.T) {
	d, dir := drawer(t, 10)
	if err := d.Create("over", []byte("x"), time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get("over"); !errors.Is(err, state.ErrNone) {
		t.Errorf("getting it: %v", err)
	}
	if _, err := d.Take("over"); !errors.Is(err, state.ErrNone) {
		t.Errorf("taking it: %v", err)
	}
	if all, err := d.List(); err != nil || len(all) != 0 {
		t.Errorf("listing: %v, %v", all, err)
	}
	if err := d.Sweep(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
}

func TestADrawerTakesNoMoreThanItsLimit(t *testing.T) {
	d, _ := drawer(t, 3)
	for _, key := range []string{"a", "b", "c"} {
		if err := d.Create(key, nil, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Create("d", nil, time.Time{}); !errors.Is(err, state.ErrFull) {
		t.Errorf("a fourth: %v", err)
	}
	if err := d.Put("d", nil, time.Time{}); !errors.Is(err, state.ErrFull) {
		t.Errorf("a fourth, put: %v", err)
	}
	if err := d.Put("c", []byte("again"), time.Time{}); err != nil {
		t.Errorf("replacing one of three: %v", err)
	}
	if err := d.Delete("a"); err != nil {
		t.Fatal(err)
	}
	if err := d.Create("d", nil, time.Time{}); err != nil {
		t.Errorf("in the place that is free again: %v", err)
	}
}

func TestEntriesHaveALimitInSize(t *testing.T) {
	d, _ := drawer(t, 10)
	if err := d.Create(strings.Repeat("k", state.MaxKey), bytes.Repeat([]byte("x"), state.MaxEntry), time.Time{}); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if content, err := d.Get(strings.Repeat("k", state.MaxKey)); err != nil || len(content) != state.MaxEntry {
		t.Errorf("read back %d bytes, %v", len(content), err)
	}
	if d.Create("k", make([]byte, state.MaxEntry+1), time.Time{}) == nil {
		t.Error("one byte more was kept")
	}
	if d.Create(strings.Repeat("k", state.MaxKey+1), nil, time.Time{}) == nil || d.Create("", nil, time.Time{}) == nil {
		t.Error("a key of no length, or too long a one, was taken")
	}
	if _, err := d.Get(strings.Repeat("k", 4096)); !errors.Is(err, state.ErrNone) {
		t.Errorf("asked for a key that cannot be: %v", err)
	}
}

func TestAKeyNamesNoFileElsewhere(t *testing.T) {
	d, dir := drawer(t, 10)
	for _, key := range []string{"../up", "a/b", "..", "\x00", "/etc/passwd", "nul\x00byte"} {
		if err := d.Create(key, []byte(key), time.Time{}); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	all, err := d.List()
	if err != nil || len(all) != 6 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	for _, e := range all {
		if e.Key != string(e.Content) {
			t.Errorf("%q came back as %q", e.Content, e.Key)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 6 {
		t.Errorf("%d files in the drawer", len(files))
	}
}

func TestWhatOthersMayReadOrWriteIsRefused(t *testing.T) {
	d, dir := drawer(t, 10)
	if err := d.Create("a", []byte("x"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	files, _ := os.ReadDir(dir)
	os.Chmod(filepath.Join(dir, files[0].Name()), 0o644)
	if _, err := d.Get("a"); err == nil || errors.Is(err, state.ErrNone) || !strings.Contains(err.Error(), "mode 0644") {
		t.Errorf("an entry that others can read: %v", err)
	}
	os.Chmod(filepath.Dir(dir), 0o777)
	if _, err := state.Open(filepath.Dir(dir)); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a folder that others may write to: %v", err)
	}
}

func TestABrokenEntryIsNamedAndNoEntry(t *testing.T) {
	d, dir := drawer(t, 10)
	if err := d.Create("a", []byte("x"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	files, _ := os.ReadDir(dir)
	os.WriteFile(filepath.Join(dir, files[0].Name()), []byte(`{"until":"20`), 0o600)
	if content, err := d.Take("a"); err == nil || content != nil {
		t.Errorf("half an entry gave %q, %v", content, err)
	}
}

func TestWhatAnInterruptedWriterLeftIsSwept(t *testing.T) {
	d, dir := drawer(t, 10)
	left := filepath.Join(dir, ".new-123")
	os.WriteFile(left, []byte("half"), 0o600)
	if all, err := d.List(); err != nil || len(all) != 0 {
		t.Errorf("half an entry is listed: %v, %v", all, err)
	}
	d.Sweep(time.Now())
	if _, err := os.Stat(left); err != nil {
		t.Error("a file that may still be written was removed")
	}
	d.Sweep(time.Now().Add(time.Hour))
	if _, err := os.Stat(left); err == nil {
		t.Error("it is still there after an hour")
	}
}
