package signon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	skew     = 60 * time.Second // how far an issuer's clock and ours may be apart
	patience = 5 * time.Second  // for all that one call asks of a provider
)

// An authority is an issuer of tokens as its verifier sees it: where its keys are, which they are, and by which algorithms it may
// sign. Each Provider and each Issuer has its own, so that a key of one never verifies a token of another.
type authority struct {
	issuer     string
	client     *http.Client
	algorithms []string
	now        func() time.Time
	check      func(*metadata) error // what else its discovery document needs
	metadata   *lazy[metadata]
	keys       *lazy[keyList]
}

func newAuthority(issuer string, client *http.Client, algorithms []string, now func() time.Time, check func(*metadata) error) *authority {
	a := &authority{issuer: issuer, client: boundedClient(client), algorithms: algorithms, now: now, check: check}
	a.metadata = newLazy(now, a.discover)
	a.metadata.serveStale = true
	a.keys = newLazy(now, a.fetchKeys)
	return a
}

// secure reports whether an address may carry codes and secrets: https, or http that does not leave the machine.
func secure(address string) bool {
	u, ok := webAddress(address)
	return ok && (u.Scheme == "https" || local(u))
}

// endpoint reports whether an address of the issuer's own document may be asked. What is on this machine may be asked only by an
// issuer that is, too: otherwise the document of a provider far away could aim our requests at our neighbours.
func (a *authority) endpoint(address string) bool {
	u, ok := webAddress(address)
	issuer, known := webAddress(a.issuer)
	return ok && known && (u.Scheme == "https" || issuer.Scheme == "http") && (!local(u) || local(issuer))
}

func webAddress(address string) (*url.URL, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || strings.Trim(address, addressAlphabet) != "" {
		return nil, false
	}
	return u, u.Scheme == "https" || u.Scheme == "http"
}

// addressAlphabet is RFC 3986's. An address with other letters looks like another one to a person.
const addressAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&'()*+,;=%"

func local(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// asked bounds all that one call of this package asks of a provider, and the waiting for other callers' questions with it.
func asked(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience)
}

func unreachable(doing string, err error) error {
	return fmt.Errorf("%w: %s: %s", ErrUnreachable, doing, trouble(err))
}

var errAnswer = errors.New("its answer is not what was asked for")
