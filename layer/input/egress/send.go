package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// A Receipt is what an address said to what it was sent. A redirect is a Receipt like any other: nothing is sent on.
type Receipt struct {
	Status int
	Body   []byte // at most the first MaxReceipt bytes, or what came of them, for a log of deliveries; a stranger's word
}

// ours are the fields of a request that its caller may not set: they frame it, or would carry what belongs to this machine.
var ours = []string{
	"Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Cookie", "Expect", "Host", "Keep-Alive",
	"Referer", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent",
}

// Send posts body to rawURL, with the protection that Get has, and follows no redirect. The header is the program's, and not the
// user's: what is wrong with it is a fault of the program. Whatever the matter is with the address, the refusal has one sentence.
func (c *Client) Send(ctx context.Context, rawURL string, header http.Header, body []byte) (*Receipt, error) {
	sent, err := outgoing(header, body)
	if err != nil {
		return nil, fmt.Errorf("sending to an address: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.times.total)
	defer cancel()
	receipt, err := c.send(ctx, rawURL, sent, body)
	if err != nil {
		return nil, refuse(err)
	}
	return receipt, nil
}

func (c *Client) send(ctx context.Context, rawURL string, header http.Header, body []byte) (receipt *Receipt, err error) {
	t, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	leave, err := c.places.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	err = c.exchange(ctx, http.MethodPost, t, header, body, func(r *http.Response) error {
		said, _ := io.ReadAll(io.LimitReader(r.Body, MaxReceipt)) // its status has been told: a body that breaks off changes nothing of that
		receipt = &Receipt{r.StatusCode, said}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return receipt, nil
}

// outgoing is a copy of header with what every request has, or everything that is wrong with it. It does not quote values: they
// hold signatures.
func outgoing(header http.Header, body []byte) (http.Header, error) {
	var faults []error
	sent, lines, size := http.Header{}, 0, 0
	for name, values := range header {
		key := http.CanonicalHeaderKey(name)
		if slices.Contains(ours, key) || strings.HasPrefix(key, "Proxy-") || sent[key] != nil {
			faults = append(faults, fmt.Errorf("the field %q is not for the caller to set, or is there twice", key))
		}
		sent[key] = slices.Clone(values)
		lines += len(values)
		size += len(key)*len(values) + len(strings.Join(values, ""))
	}
	if lines > MaxSendLines || size > MaxHeader {
		faults = append(faults, fmt.Errorf("the header has more than %d lines or %d bytes", MaxSendLines, MaxHeader))
	}
	if len(body) > MaxSend {
		faults = append(faults, fmt.Errorf("the body has more than %d bytes", MaxSend))
	}
	sent["User-Agent"], sent["Accept-Encoding"] = []string{userAgent}, []string{"identity"}
	return sent, errors.Join(faults...)
}
