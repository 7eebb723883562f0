package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

// programs makes a folder with an initdb and a postgres of the given version.
func programs(t *testing.T, bin, version string) string {
	t.Helper()
	must(t, os.MkdirAll(bin, 0o755))
	script(t, bin, "initdb", "exit 0")
	script(t, bin, "postgres", "echo 'postgres (PostgreSQL) "+version+"'")
	real, err := filepath.EvalSymlinks(bin)
	must(t, err)
	return real
}

func script(t *testing.T, dir, name, body string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755))
}

// nowhere hides every PostgreSQL of this machine.
func nowhere(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	postgres.LookOnlyIn(t, filepath.Join(dir, "lib/*/bin"))
	t.Setenv("PATH", filepath.Join(dir, "path"))
	t.Setenv(postgres.BinEnv, "")
	return dir
}

func TestFindGoesFromTheNamedToTheFound(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir string) (want string)
		source  string
		version string
	}{
		{"what the variable names, even if the path has another", func(t *testing.T, dir string) string {
			programs(t, dir+"/path", "17.1")
			t.Setenv(postgres.BinEnv, dir+"/mine")
			return programs(t, dir+"/mine", "15.4")
		}, postgres.SourceEnv, "15.4"},
		{"the path, before newer ones in folders", func(t *testing.T, dir string) string {
			programs(t, dir+"/lib/18/bin", "18.1")
			return programs(t, dir+"/path", "15.20 (Debian 15.20-0+deb12u1)")
		}, postgres.SourcePath, "15.20"},
		{"through a link in the path, to where both programs are", func(t *testing.T, dir string) string {
			want := programs(t, dir+"/real/bin", "16.2")
			must(t, os.MkdirAll(dir+"/path", 0o755))
			must(t, os.Symlink(want+"/postgres", dir+"/path/postgres"))
			return want
		}, postgres.SourcePath, "16.2"},
		{"not a path that has postgres alone", func(t *testing.T, dir string) string {
			script(t, dir+"/path", "postgres", "echo 'postgres (PostgreSQL) 18.1'")
			return programs(t, dir+"/lib/16/bin", "16.2")
		}, "lib/*/bin", "16.2"},
		{"what pg_config names", func(t *testing.T, dir string) string {
			script(t, dir+"/path", "pg_config", "echo "+dir+"/server")
			programs(t, dir+"/lib/18/bin", "18.1")
			return programs(t, dir+"/server", "15.1")
		}, postgres.SourceConfig, "15.1"},
		{"not what pg_config names if only libraries are there", func(t *testing.T, dir string) string {
			script(t, dir+"/path", "pg_config", "echo "+dir+"/server")
			must(t, os.MkdirAll(dir+"/server", 0o755))
			return programs(t, dir+"/lib/16/bin", "16.2")
		}, "lib/*/bin", "16.2"},
		{"the highest version, as a number", func(t *testing.T, dir string) string {
			programs(t, dir+"/lib/9/bin", "9.6")
			programs(t, dir+"/lib/16/bin", "16.2")
			return programs(t, dir+"/lib/100/bin", "100.1")
		}, "lib/*/bin", "100.1"},
		{"a release candidate", func(t *testing.T, dir string) string {
			return programs(t, dir+"/lib/19/bin", "19beta1")
		}, "lib/*/bin", "19beta1"},
		{"past programs that do not answer", func(t *testing.T, dir string) string {
			script(t, programs(t, dir+"/lib/18/bin", ""), "postgres", "exit 1")
			script(t, programs(t, dir+"/lib/17/bin", ""), "postgres", "echo hello")
			return programs(t, dir+"/lib/16/bin", "16.2")
		}, "lib/*/bin", "16.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := c.prepare(t, nowhere(t))
			got, err := postgres.Find(t.Context(), postgres.FindConfig{})
			if err != nil || got.Bin != want || got.Version != c.version || !strings.HasSuffix(got.Source, c.source) || got.Bundled() {
				t.Errorf("got %+v, %v; want %s %s from %s", got, err, c.version, want, c.source)
			}
		})
	}
}

func TestFindSkipsAndMentionsWhatIsTooOld(t *testing.T) {
	dir := nowhere(t)
	old := programs(t, dir+"/path", "13.9")
	want := programs(t, dir+"/lib/16/bin", "16.2")
	var said []string
	got, err := postgres.Find(t.Context(), postgres.FindConfig{Say: func(s string) { said = append(said, s) }})
	if err != nil || got.Bin != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if s := strings.Join(said, "\n"); s != "skipping: PostgreSQL 13.9 in "+old+" is too old" {
		t.Errorf("said %q", s)
	}
}

func TestFindWithoutAnyNamesTheCommands(t *testing.T) {
	dir := nowhere(t)
	_, err := postgres.Find(t.Context(), postgres.FindConfig{CacheDir: dir + "/cache"})
	if !errors.Is(err, postgres.ErrNotFound) || !strings.Contains(hint(err), "brew install postgresql") {
		t.Errorf("got %v: %s", err, hint(err))
	}
	programs(t, dir+"/path", "14.1")
	_, err = postgres.Find(t.Context(), postgres.FindConfig{})
	if !errors.Is(err, postgres.ErrNotFound) || !strings.Contains(err.Error(), "14.1") {
		t.Errorf("got %v", err)
	}
}

func TestFindDoesNotReplaceWhatWasNamed(t *testing.T) {
	for name, version := range map[string]string{"an empty folder": "", "one that is too old": "14.2"} {
		t.Run(name, func(t *testing.T) {
			dir := nowhere(t)
			programs(t, dir+"/path", "17.1")
			t.Setenv(postgres.BinEnv, dir+"/named")
			if version != "" {
				programs(t, dir+"/named", version)
			}
			got, err := postgres.Find(t.Context(), postgres.FindConfig{})
			if err == nil || !strings.Contains(err.Error(), postgres.BinEnv) || hint(err) == "" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// A program that never ends must not stop the search for long.
func TestFindDoesNotWaitForAProgramThatHangs(t *testing.T) {
	dir := nowhere(t)
	programs(t, dir+"/path", "17.1")
	script(t, dir+"/path", "postgres", "exec /bin/sleep 60")
	want := programs(t, dir+"/lib/16/bin", "16.2")
	if got, err := postgres.Find(t.Context(), postgres.FindConfig{}); err != nil || got.Bin != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseVersion(t *testing.T) {
	for line, want := range map[string]string{
		"postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n": "15.20 15 <nil>",
		"postgres (PostgreSQL) 18.4":                             "18.4 18 <nil>",
		"postgres (PostgreSQL) 17devel":                          "17devel 17 <nil>",
		"postgres (PostgreSQL) 9.6.24":                           "9.6.24 9 <nil>",
		"postgres (PostgreSQL) ":                                 " 0 it does not answer as PostgreSQL does",
		"postgres (PostgreSQL) x":                                " 0 it does not answer as PostgreSQL does",
		"postgres (PostgreSQL) 123456789":                        " 0 it does not answer as PostgreSQL does",
		"mysqld 8.0":                                             " 0 it does not answer as PostgreSQL does",
		"":                                                       " 0 it does not answer as PostgreSQL does",
	} {
		version, major, err := postgres.ParseVersion(line)
		if got := fmt.Sprint(version, " ", major, " ", err); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n")
	f.Fuzz(func(t *testing.T, line string) {
		version, major, err := postgres.ParseVersion(line)
		if err == nil && (version == "" || len(version) > 32 || major < 0 || major > 9999 || strings.ContainsAny(version, " \n")) {
			t.Errorf("%q: got %q, %d", line, version, major)
		}
	})
}

func FuzzParsePID(f *testing.F) {
	for _, seed := range []string{"123\n/data\n", "-123\n", "", "\n", "0", "1", "99999999999999999999", "--5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		// 0 and 1 and negative numbers mean groups, everybody and init to kill(2).
		if pid, ok := postgres.ParsePID(content); ok && pid <= 1 {
			t.Errorf("%q: got %d", content, pid)
		}
	})
}
