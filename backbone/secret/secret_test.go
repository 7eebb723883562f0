package secret_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/backbone/secret"
)

const hidden = "correct-horse-battery-staple"

// SYSTEM S3: a secret in hand does not print itself, however it is wrapped.
func TestValueNeverPrintsItself(t *testing.T) {
	v := secret.New([]byte(hidden))
	type config struct {
		Exported   secret.Value
		unexported secret.Value
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("starting", "secret", v, "config", config{v, v})
	slog.New(slog.NewTextHandler(&log, nil)).Info("starting", "secret", v, "config", config{v, v})
	encoded, err := json.Marshal(map[string]any{"v": v, "p": &v, "c": config{v, v}})
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{log.String(), string(encoded), v.String(), v.GoString(), fmt.Errorf("opening: %w, %v", errors.New("x"), v).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%20s", "%b"} {
		for _, wrapped := range []any{v, &v, config{v, v}, &config{v, v}, []secret.Value{v}, map[string]secret.Value{"a": v}} {
			printed = append(printed, fmt.Sprintf(verb, wrapped))
		}
	}
	for _, p := range printed {
		for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), "99 111 114 114", "636f72"} {
			if strings.Contains(p, form) {
				t.Errorf("printed: %s", p)
			}
		}
	}
	if got := v.Reveal() + string(v.Bytes()); got != hidden+hidden {
		t.Errorf("got %q", got)
	}
}

func TestValueCannotBeChangedFromOutside(t *testing.T) {
	source := []byte(hidden)
	v := secret.New(source)
	source[0] = 'X'
	v.Bytes()[0] = 'X'
	if got := v.Reveal(); got != hidden {
		t.Errorf("got %q, want %q", got, hidden)
	}
	var zero secret.Value
	if !zero.IsZero() || zero.Reveal() != "" || zero.Equal(v) || !v.Equal(secret.New([]byte(hidden))) {
		t.Error("zero or equal value is wrong")
	}
}

func TestDirRefusesWhatOthersCouldHaveReadOrWritten(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		want    string // "" means that the secret is read
	}{
		{"a private file is read", nil, ""},
		{"readable by the group", func(t *testing.T, dir string) { chmod(t, dir+"/key", 0o640) }, "mode 0640"},
		{"readable by everyone", func(t *testing.T, dir string) { chmod(t, dir+"/key", 0o604) }, "mode 0604"},
		{"writable by everyone", func(t *testing.T, dir string) { chmod(t, dir+"/key", 0o602) }, "mode 0602"},
		{"a folder that others may list", func(t *testing.T, dir string) { chmod(t, dir, 0o755) }, "mode 0755"},
		{"a symbolic link to a private file", func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/key", dir+"/other"))
			must(t, os.Symlink("other", dir+"/key"))
		}, "symbolic link"},
		{"a symbolic link out of the folder", func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/key"))
			must(t, os.Symlink("/etc/hostname", dir+"/key"))
		}, "symbolic link"},
		{"a folder in place of the file", func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/key"))
			must(t, os.Mkdir(dir+"/key", 0o700))
		}, "not a regular file"},
		{"a named pipe that would wait for ever", func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/key"))
			must(t, mkfifo(dir+"/key"))
		}, "not a regular file"},
		{"an empty file", func(t *testing.T, dir string) { write(t, dir+"/key", "") }, "empty"},
		{"a file with only a line end", func(t *testing.T, dir string) { write(t, dir+"/key", "\n") }, "empty"},
		{"a file that is too large", func(t *testing.T, dir string) { write(t, dir+"/key", strings.Repeat("x", secret.Limit+1)) }, "larger than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := private(t)
			write(t, filepath.Join(dir, "key"), hidden+"\n")
			if c.prepare != nil {
				c.prepare(t, dir)
			}
			v, err := secret.Dir(dir).Get(t.Context(), "key")
			checkOutcome(t, v, err, c.want)
			if c.want != "" && errors.Is(err, secret.ErrNotFound) {
				t.Errorf("%v counts as not found: a chain would go on", err)
			}
			if c.want != "" && !strings.Contains(err.Error(), dir) {
				t.Errorf("error does not name the file: %v", err)
			}
		})
	}
}

// Only root can give a file away. Everyone else meets the refusal at root's own folder.
func TestDirRefusesWhatBelongsToSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		v, err := secret.Dir("/").Get(t.Context(), "key")
		checkOutcome(t, v, err, "belongs to user id 0")
		return
	}
	for _, given := range []string{"", "/key"} {
		dir := private(t)
		write(t, dir+"/key", hidden)
		must(t, os.Chown(dir+given, 65534, 65534))
		v, err := secret.Dir(dir).Get(t.Context(), "key")
		checkOutcome(t, v, err, "belongs to user id 65534")
	}
}

func TestDirThatIsASymbolicLinkIsRefused(t *testing.T) {
	dir := private(t)
	write(t, dir+"/key", hidden)
	link := filepath.Join(private(t), "link")
	must(t, os.Symlink(dir, link))
	v, err := secret.Dir(link).Get(t.Context(), "key")
	checkOutcome(t, v, err, "not a folder")
}

func TestNamesAreNotPaths(t *testing.T) {
	dir := private(t)
	write(t, dir+"/key", hidden)
	t.Setenv("T_KEY", hidden)
	stores := map[string]secret.Store{"dir": secret.Dir(dir), "env": secret.Env("T_"), "chain": secret.First(secret.Dir(dir))}
	for _, name := range []string{"", "..", ".", "../key", "/etc/passwd", "a/b", "KEY", "key\n", "key\x00", ".new-x", "a_b", "ä", strings.Repeat("a", 65)} {
		for kind, store := range stores {
			_, err := store.Get(t.Context(), name)
			if err == nil || errors.Is(err, secret.ErrNotFound) || !strings.Contains(err.Error(), "its name") {
				t.Errorf("%s: name %q: got %v", kind, name, err)
			}
		}
		if _, err := secret.Dir(dir).Once(name, 32); err == nil {
			t.Errorf("Once made a secret named %q", name)
		}
	}
	for kind, store := range stores {
		if _, err := store.Get(t.Context(), strings.Repeat("a", 64)); !errors.Is(err, secret.ErrNotFound) {
			t.Errorf("%s: longest name: got %v, want not found", kind, err)
		}
	}
}

func TestEnvReadsTheVariableOrTheFileThatItNames(t *testing.T) {
	dir := private(t)
	write(t, dir+"/good", hidden+"\r\n")
	write(t, dir+"/open", hidden)
	chmod(t, dir+"/open", 0o644)
	must(t, os.Symlink("good", dir+"/link"))
	for _, c := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"the variable itself", map[string]string{"T_PG_APP": hidden}, ""},
		{"the file that it names", map[string]string{"T_PG_APP_FILE": dir + "/good"}, ""},
		{"through a link, as Kubernetes does", map[string]string{"T_PG_APP_FILE": dir + "/link"}, ""},
		{"both at once", map[string]string{"T_PG_APP": hidden, "T_PG_APP_FILE": dir + "/good"}, "both T_PG_APP and T_PG_APP_FILE"},
		{"an empty variable", map[string]string{"T_PG_APP": ""}, "T_PG_APP: it is empty"},
		{"an empty file name", map[string]string{"T_PG_APP_FILE": ""}, "no file"},
		{"a file that is not there", map[string]string{"T_PG_APP_FILE": dir + "/gone"}, "no file"},
		{"a file that everyone may read", map[string]string{"T_PG_APP_FILE": dir + "/open"}, "mode 0644"},
		{"a folder", map[string]string{"T_PG_APP_FILE": dir}, "not a regular file"},
		{"a device without end", map[string]string{"T_PG_APP_FILE": "/dev/zero"}, "not a regular file"},
		{"a variable that is too large", map[string]string{"T_PG_APP": strings.Repeat("x", secret.Limit+1)}, "larger than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			v, err := secret.Env("T_").Get(t.Context(), "pg-app")
			checkOutcome(t, v, err, c.want)
			if errors.Is(err, secret.ErrNotFound) {
				t.Errorf("%v counts as not found", err)
			}
		})
	}
}

func TestEnvNameThatLooksLikeAFileVariableIsRefused(t *testing.T) {
	t.Setenv("T_KEY_FILE", "/etc/hostname")
	v, err := secret.Env("T_").Get(t.Context(), "key-file")
	checkOutcome(t, v, err, "ending in -file")
}

func TestFirstGoesOnOnlyWhenNotFound(t *testing.T) {
	full, empty, broken := private(t), private(t), private(t)
	write(t, full+"/key", hidden)
	write(t, broken+"/key", "other")
	chmod(t, broken+"/key", 0o666)
	missing := filepath.Join(empty, "no-such-folder")
	for _, c := range []struct {
		name   string
		stores []secret.Store
		want   string
	}{
		{"found in the second", []secret.Store{secret.Dir(empty), secret.Dir(full)}, ""},
		{"a folder that does not exist holds nothing", []secret.Store{secret.Dir(missing), secret.Env("T_"), secret.Dir(full)}, ""},
		{"an unsafe first one stops the search", []secret.Store{secret.Dir(broken), secret.Dir(full)}, "mode 0666"},
		{"found before the unsafe one", []secret.Store{secret.Dir(full), secret.Dir(broken)}, ""},
		{"nowhere", []secret.Store{secret.Dir(empty), secret.Env("T_")}, "no such secret"},
		{"no stores at all", nil, "no such secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := secret.First(c.stores...).Get(t.Context(), "key")
			checkOutcome(t, v, err, c.want)
		})
	}
}

func TestACancelledContextReadsNothing(t *testing.T) {
	t.Setenv("T_KEY", hidden)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := secret.Env("T_").Get(ctx, "key"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func FuzzNamesStayInsideTheFolder(f *testing.F) {
	for _, seed := range []string{"key", "../key", "", "a-b", "\x00", strings.Repeat("a", 65)} {
		f.Add(seed)
	}
	outer := f.TempDir()
	dir := filepath.Join(outer, "secrets")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(outer+"/key", []byte("outside"), 0o600)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if v, err := secret.Dir(dir).Get(t.Context(), name); err == nil {
			t.Fatalf("name %q read %q from outside", name, v.Reveal())
		}
	})
}

// checkOutcome expects hidden, or an error that contains want and not the secret.
func checkOutcome(t *testing.T, v secret.Value, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil || v.Reveal() != hidden {
			t.Fatalf("got %q, %v", v.Reveal(), err)
		}
		return
	}
	if err == nil {
		t.Fatalf("got %q, want an error with %q", v.Reveal(), want)
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), hidden) || !v.IsZero() {
		t.Fatalf("got %v, want an error with %q", err, want)
	}
}
