package store_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/internal/reals3"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/input/file/store/storetest"
)

func TestOnlyTLSLeadsToAServer(t *testing.T) { // SYSTEM N2
	at := reals3.Start(t, reals3.Config{})
	start := func(version uint16) func(http.Handler) *httptest.Server {
		return func(h http.Handler) *httptest.Server {
			s := httptest.NewUnstartedServer(h)
			s.TLS = &tls.Config{MaxVersion: version}
			s.Config.ErrorLog = log.New(io.Discard, "", 0) // it speaks of the clients that we want to fail
			s.StartTLS()
			return s
		}
	}
	new13, old := newFaulty(t, at, start(tls.VersionTLS13)), newFaulty(t, at, start(tls.VersionTLS12))
	roots := x509.NewCertPool()
	roots.AddCert(new13.Certificate())
	roots.AddCert(old.Certificate())
	open := func(endpoint string, roots *x509.CertPool) store.Store {
		return bucket(t, at, func(cfg *store.S3Config) {
			cfg.Endpoint, cfg.Roots, cfg.InsecureLoopback, cfg.Patience = endpoint, roots, false, time.Second
		})
	}
	key := storetest.NewKey(t)
	for what, s := range map[string]store.Store{
		"an authority that we do not know": open(new13.Listener.Addr().String(), nil),
		"TLS 1.2":                          open(old.Listener.Addr().String(), roots),
		"no TLS":                           open(at.Endpoint, roots),
	} {
		_, err := s.Open(t.Context(), key)
		unavailable(t, at, key, what, err)
	}
	storetest.Run(t, func(*testing.T) store.Store { return open(new13.Listener.Addr().String(), roots) })
}

func TestEveryFaultOfASettingIsNamedAtOnce(t *testing.T) { // SYSTEM N2
	t.Parallel()
	_, err := store.OpenS3(store.S3Config{Endpoint: "http://127.0.0.1:1/x", Bucket: "../x", Prefix: "a//b", Patience: time.Hour, SecretKey: "very secret"})
	for _, word := range []string{"Endpoint", "Region", "Bucket", "AccessKey", "Prefix", "Patience"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named: %v", word, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "very secret") {
		t.Error("the key is named")
	}
	good := store.S3Config{Endpoint: "s3.example.com", Region: "eu-central-1", Bucket: "files", AccessKey: "a", SecretKey: "b"}
	if _, err := store.OpenS3(good); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*store.S3Config){
		"a user in the endpoint":      func(cfg *store.S3Config) { cfg.Endpoint = "a:b@s3.example.com" },
		"a path in the endpoint":      func(cfg *store.S3Config) { cfg.Endpoint = "s3.example.com/x" },
		"no endpoint":                 func(cfg *store.S3Config) { cfg.Endpoint = "" },
		"a port alone":                func(cfg *store.S3Config) { cfg.Endpoint = ":443" },
		"no TLS to a name":            func(cfg *store.S3Config) { cfg.Endpoint, cfg.InsecureLoopback = "localhost:9000", true },
		"no TLS to another machine":   func(cfg *store.S3Config) { cfg.Endpoint, cfg.InsecureLoopback = "192.0.2.1:9000", true },
		"a prefix that goes up":       func(cfg *store.S3Config) { cfg.Prefix = "../x" },
		"a prefix that ends in slash": func(cfg *store.S3Config) { cfg.Prefix = "x/" },
		"negative patience":           func(cfg *store.S3Config) { cfg.Patience = -1 },
		"a region with a host":        func(cfg *store.S3Config) { cfg.Region = "x.evil.example" },
	} {
		cfg := good
		change(&cfg)
		if _, err := store.OpenS3(cfg); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
