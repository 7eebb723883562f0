package provision_test

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
)

func open(t *testing.T, dir string, hosts ...string) *provision.Keys {
	t.Helper()
	k, err := provision.Open(dir, hosts)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func leaf(t *testing.T, k *provision.Keys) *x509.Certificate {
	t.Helper()
	pair, err := k.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func roots(t *testing.T, k *provision.Keys) *x509.CertPool {
	t.Helper()
	content, err := os.ReadFile(k.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		t.Fatal("the authority's file holds no certificate")
	}
	return pool
}

// SYSTEM P2: everything is made once, and found again.
func TestOpenMakesOnceAndFindsAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first, second := open(t, dir), open(t, dir)
	if !leaf(t, first).Equal(leaf(t, second)) {
		t.Error("the server certificate changed")
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := leaf(t, first).Verify(x509.VerifyOptions{DNSName: host, Roots: roots(t, first)}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	info, _ := os.Stat(dir)
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("the directory has mode %04o", got)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, _ := e.Info()
		want := os.FileMode(0o600)
		if e.Name() == provision.AuthorityFile {
			want = 0o644
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", e.Name(), got, want)
		}
	}
	if len(entries) != 3 {
		t.Errorf("%d files, want 3", len(entries))
	}
}

// The authority can sign for nobody but the hosts that were asked for.
func TestAuthorityIsConstrained(t *testing.T) {
	k := open(t, t.TempDir(), "app.internal", "192.0.2.7")
	content, _ := os.ReadFile(k.CAFile)
	for _, host := range []string{"app.internal", "192.0.2.7", "localhost"} {
		if _, err := leaf(t, k).Verify(x509.VerifyOptions{DNSName: host, Roots: roots(t, k)}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	ca, err := provision.ParseCertificate(content)
	if err != nil {
		t.Fatal(err)
	}
	if !ca.PermittedDNSDomainsCritical || !slices.Equal(ca.PermittedDNSDomains, []string{"app.internal", "localhost"}) || len(ca.PermittedIPRanges) != 3 || !ca.MaxPathLenZero {
		t.Errorf("the authority is constrained to %v and %v, critical %v", ca.PermittedDNSDomains, ca.PermittedIPRanges, ca.PermittedDNSDomainsCritical)
	}
	forged, err := provision.IssueAnyway(k, "evil.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forged.Verify(x509.VerifyOptions{DNSName: "evil.example", Roots: roots(t, k)}); err == nil {
		t.Error("a certificate of the authority for a foreign host is valid")
	}
}

// SYSTEM P2: the server certificate is renewed before it ends, at start and while running, and by need only.
func TestServerCertificateIsRenewedInTime(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		k := open(t, dir)
		first := leaf(t, k)
		if life := time.Until(first.NotAfter); life != provision.ServerLife {
			t.Errorf("it lives %v", life)
		}
		time.Sleep(60*24*time.Hour - time.Second)
		if !leaf(t, k).Equal(first) || !leaf(t, open(t, dir)).Equal(first) {
			t.Error("it was renewed with more than 30 days left")
		}
		time.Sleep(2 * time.Second)
		renewed := leaf(t, k)
		if renewed.Equal(first) {
			t.Error("the running process did not renew it")
		}
		if !leaf(t, open(t, dir)).Equal(renewed) {
			t.Error("the next start does not find the renewed one")
		}
		time.Sleep(61 * 24 * time.Hour)
		if leaf(t, open(t, dir)).Equal(renewed) {
			t.Error("a start did not renew it")
		}
	})
}

func TestChangedHostsAreServed(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	before, first := roots(t, k), leaf(t, k)
	k = open(t, dir, "App.Internal")
	if _, err := leaf(t, k).Verify(x509.VerifyOptions{DNSName: "app.internal", Roots: roots(t, k)}); err != nil {
		t.Errorf("the new host: %v", err)
	}
	if roots(t, k).Equal(before) {
		t.Error("the authority's certificate did not grow with the hosts")
	}
	k = open(t, dir)
	if leaf(t, k).Equal(first) || leaf(t, k).VerifyHostname("app.internal") == nil {
		t.Error("a host that is no longer asked for is still served")
	}
	if _, err := provision.Open(dir, []string{"a b", "*.x", "", "https://x"}); err == nil || strings.Count(err.Error(), "neither") != 4 {
		t.Errorf("bad hosts: got %v", err)
	}
}

// A start that was interrupted anywhere is finished by the next one.
func TestInterruptedProvisioningHeals(t *testing.T) {
	complete := filepath.Join(t.TempDir(), "complete")
	open(t, complete)
	order := []string{"ca-key.pem", "ca.pem", "server.pem"}
	for n := range order {
		dir := t.TempDir()
		os.Chmod(dir, 0o700)
		for _, name := range order[:n] {
			content, _ := os.ReadFile(filepath.Join(complete, name))
			if err := os.WriteFile(filepath.Join(dir, name), content, map[bool]os.FileMode{true: 0o644, false: 0o600}[name == "ca.pem"]); err != nil {
				t.Fatal(err)
			}
		}
		leftover := filepath.Join(dir, ".new-123")
		os.WriteFile(leftover, []byte("-----BEGIN PRIV"), 0o600)
		os.Chtimes(leftover, time.Time{}, time.Now().Add(-time.Hour))
		k := open(t, dir)
		if _, err := leaf(t, k).Verify(x509.VerifyOptions{DNSName: "localhost", Roots: roots(t, k)}); err != nil {
			t.Errorf("after %v: %v", order[:n], err)
		}
		for _, name := range order[:n] {
			a, _ := os.ReadFile(filepath.Join(complete, name))
			b, _ := os.ReadFile(filepath.Join(dir, name))
			if !bytes.Equal(a, b) {
				t.Errorf("after %v: %s was changed", order[:n], name)
			}
		}
		if _, err := os.Stat(leftover); err == nil {
			t.Errorf("after %v: what was left behind is still there", order[:n])
		}
	}
}

func TestTwoStartsAtOnceAgree(t *testing.T) {
	dir := t.TempDir()
	var all [4]*provision.Keys
	var starts sync.WaitGroup
	for i := range all {
		starts.Go(func() {
			k, err := provision.Open(dir, nil)
			if err != nil {
				t.Error(err)
			}
			all[i] = k
		})
	}
	starts.Wait()
	for _, k := range all[1:] {
		if k == nil || all[0] == nil {
			t.FailNow()
		}
		if !leaf(t, k).Equal(leaf(t, all[0])) || !roots(t, k).Equal(roots(t, all[0])) {
			t.Error("two starts at once have different keys")
		}
	}
}

// What others may have read or changed is refused, by name.
func TestOpenFilesAreRefused(t *testing.T) {
	for _, name := range []string{"ca-key.pem", "server.pem"} {
		for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
			dir := t.TempDir()
			open(t, dir)
			if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
				t.Fatal(err)
			}
			if _, err := provision.Open(dir, nil); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "chmod 0600") {
				t.Errorf("%s with mode %04o: got %v", name, mode, err)
			}
		}
	}
	for name, mode := range map[string]os.FileMode{"ca.pem": 0o666, ".": 0o777} {
		dir := t.TempDir()
		open(t, dir)
		os.Chmod(filepath.Join(dir, name), mode)
		if _, err := provision.Open(dir, nil); err == nil {
			t.Errorf("%s with mode %04o is taken", name, mode)
		}
	}
}

func TestDamagedFilesAreRefusedByName(t *testing.T) {
	for _, name := range []string{"ca.pem", "ca-key.pem", "server.pem"} {
		for what, content := range map[string][]byte{"empty": nil, "nonsense": []byte("nonsense"), "too large": make([]byte, 65<<10)} {
			dir := t.TempDir()
			open(t, dir)
			os.WriteFile(filepath.Join(dir, name), content, 0o600)
			if _, err := provision.Open(dir, nil); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, %s: got %v", name, what, err)
			}
		}
	}
	dir := t.TempDir()
	open(t, dir)
	os.Remove(filepath.Join(dir, "ca-key.pem"))
	if _, err := provision.Open(dir, nil); err == nil || !strings.Contains(err.Error(), "ca-key.pem") {
		t.Errorf("an authority without its key: got %v", err)
	}
}
