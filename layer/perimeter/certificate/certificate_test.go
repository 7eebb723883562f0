package certificate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate"
)

func (f *folder) open(pairs ...certificate.Pair) *certificate.Files {
	f.t.Helper()
	files, err := certificate.Open(certificate.Config{Pairs: pairs, Every: 10 * time.Millisecond, Log: slog.New(slog.NewJSONHandler(&f.log, nil))})
	if err != nil {
		f.t.Fatal(err)
	}
	return files
}

func TestTheCertificateIsChosenByName(t *testing.T) { // SYSTEM P2
	d := newFolder(t)
	files := d.open(
		d.put("one", issue(t, 1, nil, "one.example", "www.one.example")),
		d.put("two", issue(t, 2, nil, "two.example", "*.two.example")),
		d.put("deep", issue(t, 3, nil, "deep.two.example")),
	)
	for host, want := range map[string]int64{
		"one.example": 1, "www.one.example": 1, "two.example": 2, "a.two.example": 2, "deep.two.example": 3,
		"ONE.example": 1, "two.example.": 2, // other spellings of the same name
		"a.b.two.example": 1, "other.example": 1, "": 1, "example": 1, // the first one
	} {
		if got := serial(t, files, host); got != want {
			t.Errorf("%q: got certificate %d, want %d", host, got, want)
		}
	}
}

func TestOfTwoForOneNameTheClientGetsWhatItCanVerify(t *testing.T) {
	d := newFolder(t)
	files := d.open(d.put("ec", issue(t, 1, nil, "a.example")), d.put("rsa", issueRSA(t, 2, "a.example")))
	hello := func(schemes ...tls.SignatureScheme) *tls.ClientHelloInfo {
		return &tls.ClientHelloInfo{ServerName: "a.example", SignatureSchemes: schemes, SupportedVersions: []uint16{tls.VersionTLS13},
			SupportedCurves: []tls.CurveID{tls.CurveP256, tls.X25519}, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}}
	}
	if got := serialFor(t, files, hello(tls.PSSWithSHA256)); got != 2 {
		t.Errorf("a client without elliptic curves: got %d, want 2", got)
	}
	if got := serialFor(t, files, hello(tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256)); got != 1 {
		t.Errorf("a client with both: got %d, want 1", got)
	}
	if got := serialFor(t, files, hello(tls.Ed25519)); got != 1 {
		t.Errorf("a client with neither: got %d, want 1", got)
	}
}

func TestAFileIsFollowedWhileRunning(t *testing.T) { // SYSTEM P2
	d := newFolder(t)
	pair := d.put("a", issue(t, 1, nil, "a.example"))
	files := d.open(pair)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { files.Run(ctx) })
	for want := int64(2); want < 6; want++ {
		d.put("a", issue(t, want, nil, "a.example"))
		for deadline := time.Now().Add(5 * time.Second); serial(t, files, "a.example") != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("got %d after 5 s, want %d", serial(t, files, "a.example"), want)
			}
		}
	}
	cancel()
	running.Wait()
}

// Every one of these happens to somebody who renews by hand.
func TestWhatCannotBeUsedLeavesTheOldOneInUse(t *testing.T) { // SYSTEM P2
	good, other := issue(t, 2, nil, "a.example"), issue(t, 3, nil, "a.example")
	for name, spoil := range map[string]func(d *folder, p certificate.Pair){
		"a certificate without its new key": func(d *folder, p certificate.Pair) { d.write(p.Certificate, good.chain, 0o644) },
		"a key without its new certificate": func(d *folder, p certificate.Pair) { d.write(p.Key, good.key, 0o600) },
		"another pair's key": func(d *folder, p certificate.Pair) {
			d.write(p.Certificate, good.chain, 0o644)
			d.write(p.Key, other.key, 0o600)
		},
		"half a certificate": func(d *folder, p certificate.Pair) {
			d.write(p.Certificate, good.chain[:len(good.chain)/2], 0o644)
			d.write(p.Key, good.key, 0o600)
		},
		"half a key": func(d *folder, p certificate.Pair) {
			d.write(p.Certificate, good.chain, 0o644)
			d.write(p.Key, good.key[:len(good.key)/2], 0o600)
		},
		"an empty certificate": func(d *folder, p certificate.Pair) { d.write(p.Certificate, nil, 0o644) },
		"no certificate":       func(d *folder, p certificate.Pair) { os.Remove(p.Certificate) },
		"no key":               func(d *folder, p certificate.Pair) { os.Remove(p.Key) },
		"a folder":             func(d *folder, p certificate.Pair) { os.Remove(p.Key); os.Mkdir(p.Key, 0o700) },
		"a certificate that has ended": func(d *folder, p certificate.Pair) {
			d.put("a", issue(d.t, 4, ended, "a.example"))
		},
		"a certificate of tomorrow": func(d *folder, p certificate.Pair) {
			d.put("a", issue(d.t, 4, func(c *x509.Certificate) {
				c.NotBefore = time.Now().Add(time.Hour)
				c.NotAfter = c.NotBefore.Add(time.Hour)
			}, "a.example"))
		},
		"a certificate for nobody": func(d *folder, p certificate.Pair) { d.put("a", issue(d.t, 4, nil)) },
		"an authority": func(d *folder, p certificate.Pair) {
			d.put("a", issue(d.t, 4, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, "a.example"))
		},
		"a key that others can read": func(d *folder, p certificate.Pair) {
			d.put("a", good)
			os.Chmod(p.Key, 0o644)
		},
		"a file that has no end": func(d *folder, p certificate.Pair) {
			d.write(p.Certificate, append(good.chain, make([]byte, 1<<20)...), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newFolder(t)
			pair := d.put("a", issue(t, 1, nil, "a.example"))
			files := d.open(pair)
			spoil(d, pair)
			for range 3 {
				files.Reload()
			}
			if got := serial(t, files, "a.example"); got != 1 {
				t.Errorf("got certificate %d, want the old one", got)
			}
			if got := strings.Count(d.log.String(), "stays in use"); got != 1 {
				t.Errorf("told %d times, want once: %s", got, d.log.String())
			}
			os.Remove(pair.Key)
			os.Remove(pair.Certificate)
			d.put("a", other)
			files.Reload()
			if got := serial(t, files, "a.example"); got != 3 {
				t.Errorf("after it was put right: got certificate %d, want 3", got)
			}
		})
	}
}

func TestHandshakesSeeOneStateOrTheNext(t *testing.T) {
	d := newFolder(t)
	pair := d.put("a", issue(t, 1, nil, "a.example"))
	files := d.open(pair)
	done := make(chan struct{})
	var handshakes sync.WaitGroup
	for range 4 {
		handshakes.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				c, err := files.GetCertificate(&tls.ClientHelloInfo{ServerName: "a.example"})
				if err != nil || c == nil || len(c.Certificate) == 0 || files.Expires().IsZero() {
					t.Error("a handshake saw no certificate")
					return
				}
			}
		})
	}
	for i := range int64(20) {
		d.put("a", issue(t, i+2, nil, "a.example"))
		files.Reload()
	}
	close(done)
	handshakes.Wait()
	if got := serial(t, files, ""); got != 21 {
		t.Errorf("got %d, want 21", got)
	}
}

func TestOneFileMayHoldBoth(t *testing.T) {
	d := newFolder(t)
	m := issue(t, 7, nil, "a.example")
	both := filepath.Join(d.dir, "both.pem")
	d.write(both, append(m.chain, m.key...), 0o600)
	if got := serial(t, d.open(certificate.Pair{Certificate: both}), "a.example"); got != 7 {
		t.Errorf("got %d, want 7", got)
	}
	d.write(both, append(m.chain, m.key...), 0o644)
	if _, err := certificate.Open(certificate.Config{Pairs: []certificate.Pair{{Certificate: both}}}); err == nil {
		t.Error("a file with a key that others can read is taken")
	}
}

func TestAGroupMayReadTheKey(t *testing.T) {
	d := newFolder(t)
	pair := d.put("a", issue(t, 1, nil, "a.example"))
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o644: false, 0o660: false, 0o604: false, 0o602: false, 0o650: false} {
		if err := os.Chmod(pair.Key, mode); err != nil {
			t.Fatal(err)
		}
		_, err := certificate.Open(certificate.Config{Pairs: []certificate.Pair{pair}})
		if got := err == nil; got != want {
			t.Errorf("%04o: got %t (%v), want %t", mode, got, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), pair.Key) {
			t.Errorf("%04o: %q does not name the file", mode, err)
		}
	}
}

func TestEveryProblemIsReportedAtOnceAndHoldsNoKey(t *testing.T) {
	d := newFolder(t)
	one, two := issue(t, 1, nil, "a.example"), issue(t, 2, nil, "b.example")
	swapped := d.put("swapped", made{one.chain, two.key})
	// The key where the certificate should be, and the other way round.
	reversed := d.put("reversed", made{one.key, one.chain})
	missing := d.pair("missing")
	_, err := certificate.Open(certificate.Config{Pairs: []certificate.Pair{swapped, reversed, missing, {}}, Every: -1})
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{swapped.Certificate, reversed.Certificate, missing.Certificate, "has no file", "negative"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not tell of %s", err, want)
		}
	}
	for _, m := range []made{one, two} {
		block, _ := pem.Decode(m.key)
		if body := strings.Split(string(m.key), "\n")[1]; strings.Contains(err.Error(), body) || strings.Contains(err.Error(), string(block.Bytes)) {
			t.Error("the error holds a key")
		}
	}
}

func TestTheNumberOfCertificatesIsBounded(t *testing.T) {
	d := newFolder(t)
	pair := d.put("a", issue(t, 1, nil, "a.example"))
	pairs := make([]certificate.Pair, certificate.MaxPairs+1)
	for i := range pairs {
		pairs[i] = pair
	}
	if _, err := certificate.Open(certificate.Config{Pairs: pairs}); err == nil {
		t.Errorf("%d certificates are taken", len(pairs))
	}
	if _, err := certificate.Open(certificate.Config{Pairs: pairs[1:]}); err != nil {
		t.Errorf("%d certificates: %v", len(pairs)-1, err)
	}
	if _, err := certificate.Open(certificate.Config{}); err == nil {
		t.Error("no certificate is taken")
	}
}

// An edge that starts after its certificate has ended serves it, says so, and takes the new one when it is there.
func TestACertificateThatHasEndedDoesNotStopTheStart(t *testing.T) {
	d := newFolder(t)
	pair := d.put("a", issue(t, 1, ended, "a.example"))
	files := d.open(pair)
	if !strings.Contains(d.log.String(), "browsers will refuse") || !files.Expires().Before(time.Now()) {
		t.Errorf("it is not told: %s", d.log.String())
	}
	d.put("a", issue(t, 2, nil, "a.example"))
	files.Reload()
	if got := serial(t, files, "a.example"); got != 2 || !files.Expires().After(time.Now()) {
		t.Errorf("got %d, which ends %v", got, files.Expires())
	}
}

type fixed struct {
	cert    *tls.Certificate
	err     error
	expires time.Time
}

func (f fixed) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.cert, f.err }
func (f fixed) Expires() time.Time                                            { return f.expires }

func TestSourcesAreAskedInTurn(t *testing.T) {
	mine, why := &tls.Certificate{}, errors.New("not yet")
	early, late := time.Now(), time.Now().Add(time.Hour)
	for _, c := range []struct {
		name    string
		sources certificate.Sources
		cert    *tls.Certificate
		err     error
		expires time.Time
	}{
		{"nobody", nil, nil, nil, time.Time{}},
		{"the second knows the name", certificate.Sources{fixed{expires: late}, fixed{cert: mine, expires: early}}, mine, nil, early},
		{"the first knows it, and has none yet", certificate.Sources{fixed{err: why}, fixed{cert: mine, expires: early}}, nil, why, early},
		{"nobody knows it", certificate.Sources{fixed{expires: early}, fixed{expires: late}}, nil, nil, early},
	} {
		got, err := c.sources.GetCertificate(&tls.ClientHelloInfo{})
		if got != c.cert || err != c.err || !c.sources.Expires().Equal(c.expires) {
			t.Errorf("%s: got %v, %v, %v", c.name, got, err, c.sources.Expires())
		}
	}
}
