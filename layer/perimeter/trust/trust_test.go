package trust_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
	"github.com/redoubt-dev/redoubt/layer/perimeter/trust"
)

// These tests end where the machine's stores begin: only what is refused before goes through Trust and Untrust.

func TestUnsuitableFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	keys, err := provision.Open(filepath.Join(dir, "keys"), nil)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca, _ := os.ReadFile(keys.CAFile)
	for _, c := range []struct{ name, file, want string }{
		{"no file", filepath.Join(dir, "missing"), "no such file"},
		{"an empty file", file("empty", nil), "exactly one certificate"},
		{"text", file("text", []byte("hello")), "exactly one certificate"},
		{"two certificates", file("two", bytes.Repeat(ca, 2)), "exactly one certificate"},
		{"a private key", filepath.Join(dir, "keys", "ca-key.pem"), "exactly one certificate"},
		{"a certificate with nonsense inside", file("inside", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), "reading certificate"},
		{"a very large file", file("large", bytes.Repeat([]byte("x"), 65<<10)), "too large"},
		{"a server's certificate", file("server", firstBlock(t, filepath.Join(dir, "keys", "server.pem"))), "not an authority"},
		{"an authority for the whole world", file("world", world(t)), "not constrained"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for verb, do := range map[string]func(string) error{"trusting": trust.Trust, "ending trust": trust.Untrust} {
				if err := do(c.file); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), verb) {
					t.Errorf("%s: got %v, want %q", verb, err, c.want)
				}
			}
		})
	}
	if _, err := trust.Parse(ca); err != nil {
		t.Errorf("the authority itself: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if cert, err := trust.Parse(content); (cert == nil) == (err == nil) {
			t.Errorf("got %v and %v", cert, err)
		}
	})
}
