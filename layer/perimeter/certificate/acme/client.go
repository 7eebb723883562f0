package acme

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	dialTimeout   = 10 * time.Second // to the end of the authority's TLS handshake
	answerTimeout = 30 * time.Second // for one whole answer
	adviceTimeout = 5 * time.Second  // for the authority's word on when to renew, without which we know it too
)

// newHTTPClient makes the client that speaks to the authority, and to nobody else. It reads no proxy from the environment and follows
// no redirection: an authority's addresses are in its directory.
func newHTTPClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: answerTimeout,
		Transport: bounded{&http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: dialTimeout,
			ForceAttemptHTTP2:   true,
			MaxConnsPerHost:     2 * MaxOrders,
			IdleConnTimeout:     time.Minute,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded speaks TLS alone, because the addresses in a directory are the authority's to choose, and bounds what an answer may hold.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, errors.New("the authority names an address without TLS")
	}
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{resp.Body, MaxAnswer}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errors.New("the authority's answer is too large")
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	b.left -= n
	return n, err
}
