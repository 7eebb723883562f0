package rls_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer/rls"
)

func TestADatabaseOverANetworkIsVerified(t *testing.T) { // SYSTEM T7
	for _, c := range []struct {
		name, address string
		ok            bool
	}{
		{"a Unix socket", "postgres:///db?host=/run/postgresql&user=u", true},
		{"loopback", "postgres://u@127.0.0.1/db?sslmode=disable", true},
		{"loopback, IPv6", "postgres://u@[::1]/db?sslmode=disable", true},
		{"localhost", "postgres://u@localhost/db?sslmode=prefer", true},
		{"verified by authority and name", "postgres://u@db.example/db?sslmode=verify-full", true},
		{"nothing said", "postgres://u@db.example/db", false},
		{"no TLS", "postgres://u@db.example/db?sslmode=disable", false},
		{"TLS if the server likes", "postgres://u@db.example/db?sslmode=prefer", false},
		{"TLS only if it must be", "postgres://u@db.example/db?sslmode=allow", false},
		{"TLS with anybody", "postgres://u@db.example/db?sslmode=require", false},
		{"an authority's, with any name", "postgres://u@db.example/db?sslmode=verify-ca", false},
		{"an address that is nearly loopback", "postgres://u@128.0.0.1/db?sslmode=disable", false},
		{"a name that begins like localhost", "postgres://u@localhost.example/db?sslmode=disable", false},
		{"one of two over a network", "postgres://u@127.0.0.1,db.example/db?sslmode=disable", false},
		{"two, verified", "postgres://u@a.example,b.example/db?sslmode=verify-full", true},
	} {
		cfg, err := pgx.ParseConfig(c.address)
		if err != nil {
			t.Fatal(err)
		}
		if err := rls.Verified(cfg); (err == nil) != c.ok || err != nil && !errors.Is(err, rls.ErrUnverified) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	// Nobody is asked before it is known who answers.
	if _, err := rls.Open(t.Context(), rls.Config{Connection: "postgres://u:hunter2@192.0.2.1/db?sslmode=require"}); !errors.Is(err, rls.ErrUnverified) {
		t.Errorf("opening: %v", err)
	}
}
