package signon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

const (
	maxResponse = 1 << 20
	maxHeader   = 64 << 10
)

// boundedClient is the client that talks to the provider. Whatever the caller brings, redirects are not followed, because a back
// channel that is redirected carries our secret elsewhere, and answers are bounded.
func boundedClient(given *http.Client) *http.Client {
	client := http.Client{}
	if given != nil {
		client = *given
	}
	if client.Timeout == 0 {
		client.Timeout = fetchTime
	}
	switch transport := client.Transport.(type) {
	case *http.Transport:
		client.Transport = limited(transport)
	case nil:
		client.Transport = &http.Transport{
			Proxy:                  nil, // of the environment: it would see the client secret
			DialContext:            (&net.Dialer{Timeout: fetchTime}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    fetchTime,
			ResponseHeaderTimeout:  fetchTime,
			MaxResponseHeaderBytes: maxHeader,
			MaxConnsPerHost:        16,
			IdleConnTimeout:        time.Minute,
		}
	}
	client.Transport = boundedTransport{client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	return &client
}

// limited is transport with limits where it has none: net/http reads ten mebibytes of headers, and goes on with a handshake for as long
// as the peer likes after whoever wanted it has left.
func limited(given *http.Transport) *http.Transport {
	transport := given.Clone()
	if transport.MaxResponseHeaderBytes == 0 {
		transport.MaxResponseHeaderBytes = maxHeader
	}
	if transport.TLSHandshakeTimeout == 0 {
		transport.TLSHandshakeTimeout = fetchTime
	}
	return transport
}

type boundedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper. A body beyond the limit ends in an error, and not in a shorter body.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxResponse)
	}
	return resp, err
}

// A document is an answer of the provider, read whole.
type document struct {
	status int
	kind   string // the media type, without parameters
	body   []byte
}

// json reports whether the answer says of itself that it is JSON. A page that a proxy put in its place does not.
func (d document) json() bool {
	return d.kind == "application/json" || strings.HasPrefix(d.kind, "application/") && strings.HasSuffix(d.kind, "+json")
}

// fetch reads one document that is JSON and has status 200.
func (a *authority) fetch(ctx context.Context, doing, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, unreachable(doing, errAnswer)
	}
	req.Header.Set("Accept", "application/json")
	d, err := a.do(req, doing)
	switch {
	case err != nil:
		return nil, err
	case d.status != http.StatusOK:
		return nil, fmt.Errorf("%w: %s: it answers %d", ErrUnreachable, doing, d.status)
	case !d.json():
		return nil, fmt.Errorf("%w: %s: the answer is not JSON", ErrUnreachable, doing)
	}
	return d.body, nil
}

func (a *authority) do(req *http.Request, doing string) (document, error) {
	resp, err := a.client.Do(req)
	if err != nil {
		return document{}, unreachable(doing, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return document{}, unreachable(doing, err)
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	return document{resp.StatusCode, kind, body}, nil
}

// trouble says what went wrong on the way to the provider in words of ours. The errors of net/http quote what the peer sent.
func trouble(err error) string {
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var long *http.MaxBytesError
	var name *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &hostname):
		return "its certificate is not valid"
	case errors.As(err, &record), errors.As(err, &alert), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS as we do"
	case errors.As(err, &long):
		return "its answer is too long"
	case errors.As(err, &name):
		return "its name is not known"
	case errors.Is(err, context.Canceled):
		return "nobody waits for it any more"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "it takes too long"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection broke off"
	case errors.Is(err, errAnswer):
		return errAnswer.Error()
	default:
		return "the connection failed"
	}
}
