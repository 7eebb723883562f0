package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// A Want says what answer is taken. It is the caller's, and not the user's: what is wrong with it is a fault of the program.
type Want struct {
	Types []string // media types without parameters, such as "text/html"; there is at least one
	Bytes int64    // of the body, at most; there is no default
	Cut   bool     // take the first Bytes of a longer body; else it is refused
}

func (w Want) check() error {
	var faults []error
	if len(w.Types) == 0 || len(w.Types) > MaxTypes {
		faults = append(faults, fmt.Errorf("a Want has from 1 to %d Types", MaxTypes))
	}
	if w.Bytes < 1 || w.Bytes > MaxBody {
		faults = append(faults, fmt.Errorf("a Want has from 1 to %d Bytes", MaxBody))
	}
	return errors.Join(faults...)
}

// An Answer is what an address gave. Everything in it is a stranger's word.
type Answer struct {
	URL     string // where it came from in the end, in its one spelling
	Host    string // the host of it, in ASCII
	Type    string // one of the Want's Types
	Charset string // as the answer names it, lower case; empty when it does not
	Body    []byte // at most the Want's Bytes
}

// Get asks rawURL for one of the types of want, and follows at most MaxRedirects, each judged from the beginning. Whatever the matter
// is with the address, the refusal has one sentence; its cause is a Fault.
func (c *Client) Get(ctx context.Context, rawURL string, want Want) (*Answer, error) {
	if err := want.check(); err != nil {
		return nil, fmt.Errorf("asking an address: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.times.total)
	defer cancel()
	answer, err := c.get(ctx, rawURL, want)
	if err != nil {
		return nil, refuse(err)
	}
	return answer, nil
}

func (c *Client) get(ctx context.Context, rawURL string, want Want) (answer *Answer, err error) {
	t, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	leave, err := c.places.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	for range MaxRedirects + 1 {
		next := t
		err = c.exchange(ctx, http.MethodGet, t, want.header(), nil, func(r *http.Response) (err error) {
			if redirects(r.StatusCode) {
				next, err = t.follow(r.Header["Location"])
				return err
			}
			answer, err = want.take(t, r)
			return err
		})
		if err != nil || answer != nil {
			return answer, err
		}
		t = next
	}
	return nil, Redirected
}

// header is made anew for each address: a redirect carries nothing along (RFC 9110 section 15.4).
func (w Want) header() http.Header {
	return http.Header{
		"Accept": {strings.Join(w.Types, ", ")}, "Accept-Encoding": {"identity"}, "User-Agent": {userAgent},
	}
}

// redirects reports whether a status leads to another place for a GET (RFC 9110 section 15.4).
func redirects(status int) bool {
	return slices.Contains([]int{301, 302, 303, 307, 308}, status)
}

// take reads an answer that is wanted. A coded body is refused unread: what it inflates to is not known before.
func (w Want) take(from target, r *http.Response) (*Answer, error) {
	kind, charset, err := w.kind(r.Header["Content-Type"])
	if err != nil || r.StatusCode != http.StatusOK || !plain(r.Header["Content-Encoding"]) {
		return nil, Unwanted
	}
	if r.ContentLength > w.Bytes && !w.Cut {
		return nil, TooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, w.Bytes+1))
	more := int64(len(body)) > w.Bytes
	switch {
	case more && w.Cut:
		body = body[:w.Bytes]
	case more:
		return nil, TooLarge
	case err != nil:
		return nil, err
	}
	return &Answer{URL: from.String(), Host: from.host, Type: kind, Charset: charset, Body: body}, nil
}

// kind is the media type and charset that the answer gives itself, once: of two, another reader could take the other.
func (w Want) kind(given []string) (kind, charset string, err error) {
	if len(given) != 1 {
		return "", "", Unwanted
	}
	kind, parameters, err := mime.ParseMediaType(given[0])
	if err != nil || !slices.Contains(w.Types, kind) {
		return "", "", Unwanted
	}
	return kind, strings.ToLower(parameters["charset"]), nil
}

func plain(encodings []string) bool {
	return len(encodings) == 0 || len(encodings) == 1 && strings.EqualFold(encodings[0], "identity")
}
