package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func requestBehindAnother() Attack {
	return Attack{
		Name: "request-behind-another", Threat: "T48", Group: "perimeter",
		Title:  "A stranger outside hides a request behind one that the access policy lets through, in a head that two readers end in two places",
		Expect: []string{"perimeter/policy", "gate/route", "rls/credential", "rls/floor"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			l, err := hide(ctx, s)
			if err != nil {
				return false, err
			}
			at, err := url.Parse(s.Origin)
			if err != nil {
				return false, err
			}
			hidden := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", l.paths()[1], at.Host)
			for _, way := range smuggled {
				if harm, err := s.rode(ctx, at, way, hidden, l.canary); harm || err != nil {
					return harm, err
				}
			}
			return false, nil
		},
	}
}

// smuggled are the ways to hide a request. The first does not even hide it: some guards judge a connection by its first request.
// RFC 9112 sections 6.1, 6.3, 7.1 and 11.2.
var smuggled = []struct{ name, method, lines, before, after string }{
	{name: "pipelined", method: "GET"},
	{name: "a length of nothing", method: "GET", lines: "Content-Length: 0\r\n"},
	{name: "CL.TE", method: "GET", lines: "Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", before: "0\r\n\r\n"},
	{name: "TE.CL", method: "GET", lines: "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", before: "%x\r\n", after: "\r\n0\r\n\r\n"},
	{name: "TE.TE", method: "GET", lines: "Content-Length: %d\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", before: "0\r\n\r\n"},
	{name: "a space before the colon", method: "GET", lines: "Content-Length: %d\r\nTransfer-Encoding : chunked\r\n", before: "0\r\n\r\n"},
	{name: "a folded line", method: "GET", lines: "Content-Length: %d\r\nTransfer-Encoding:\r\n chunked\r\n", before: "0\r\n\r\n"},
	{name: "two lengths", method: "GET", lines: "Content-Length: 0\r\nContent-Length: %d\r\n"},
	{name: "a length with a sign", method: "GET", lines: "Content-Length: +0\r\n"},
	{name: "bare line feeds", method: "GET", lines: "X: y\n\n"},
	{name: "a chunk's extension", method: "GET", lines: "Transfer-Encoding: chunked\r\n", before: "0;\nx\r\n\r\n"},
	{name: "a body of HEAD's", method: "HEAD", lines: "Content-Length: %d\r\n"},
}

// rode sends a request for a style sheet with another one behind it, and reads everything that is answered.
func (s *Scene) rode(ctx context.Context, at *url.URL, way struct{ name, method, lines, before, after string }, hidden, canary string) (bool, error) {
	number := func(text string, n int) string {
		if strings.Contains(text, "%") {
			return fmt.Sprintf(text, n)
		}
		return text
	}
	body := number(way.before, len(hidden)) + hidden + way.after
	head := fmt.Sprintf("%s /assets/site.css HTTP/1.1\r\nHost: %s\r\n%s\r\n", way.method, at.Host, number(way.lines, len(body)))
	answer, err := s.raw(ctx, at, head+body)
	if err != nil {
		return false, err
	}
	first, _, _ := strings.Cut(answer, "\r\n")
	s.Note("a stranger", "two requests on one connection: "+way.name, first)
	return strings.Contains(answer, canary), nil
}

// quiet is how long an attacker waits for more to be said.
const quiet = 300 * time.Millisecond

// raw says something over TLS from outside, and returns what is answered before it is quiet.
func (s *Scene) raw(ctx context.Context, at *url.URL, text string) (string, error) {
	dialer := &tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(target.Outside)}, Timeout: 5 * time.Second},
		Config: &tls.Config{RootCAs: s.Roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}}}
	conn, err := dialer.DialContext(ctx, "tcp4", "127.0.0.1:"+at.Port())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(quiet)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return "", nil // it was cut off before it was said: there is no answer
	}
	var answer bytes.Buffer
	if _, err := io.Copy(&answer, io.LimitReader(conn, 1<<20)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return answer.String(), nil // cut off
	}
	return answer.String(), nil
}
