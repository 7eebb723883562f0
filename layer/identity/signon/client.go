package signon

import (
	"net"
	"net/http"
	"time"
)

const maxResponse = 1 << 20

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
	if client.Transport == nil {
		client.Transport = &http.Transport{
			Proxy:                  nil, // of the environment: it would see the client secret
			DialContext:            (&net.Dialer{Timeout: fetchTime}).DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    fetchTime,
			ResponseHeaderTimeout:  fetchTime,
			MaxResponseHeaderBytes: 64 << 10,
			MaxConnsPerHost:        16,
			IdleConnTimeout:        time.Minute,
		}
	}
	client.Transport = boundedTransport{client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	return &client
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
