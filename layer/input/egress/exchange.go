package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// userAgent says who asks, the same for everybody.
const userAgent = "Redoubt/1"

// exchange sends one request to t over a connection of its own, and gives the answer to take.
func (c *Client) exchange(ctx context.Context, method string, t target, header http.Header, body []byte, take func(*http.Response) error) error {
	leave, err := c.places.enterHost(t.host)
	if err != nil {
		return err
	}
	defer leave()
	request, err := http.NewRequestWithContext(ctx, method, t.String(), bytes.NewReader(body))
	if err != nil {
		return Unreadable
	}
	request.Header = header
	transport := c.transport(t)
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request) // not a Client's Do: no redirects, cookies or credentials can be switched on
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return take(response)
}

// transport is made for one request to one target: whatever name it thinks it dials, it gets t. Proxy stays nil, so that no variable
// of the environment sends requests elsewhere.
func (c *Client) transport(t target) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx, t) },
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.config.Roots, ServerName: t.host},
		TLSHandshakeTimeout:    c.times.handshake,
		ResponseHeaderTimeout:  c.times.firstByte,
		MaxResponseHeaderBytes: MaxHeader,
		DisableKeepAlives:      true,
		DisableCompression:     true, // with or without the header that asks for identity: what inflates by itself is bounded by nothing
		Protocols:              protocols,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: receiveAhead, MaxReceiveBufferPerConnection: receiveAhead, MaxDecoderHeaderTableSize: 4 << 10,
		},
	}
}
