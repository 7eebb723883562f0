package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"sync"
	"time"
)

// grace is how long the last answers of a measurement may take. Then its connections are cut and it fails.
const grace = 15 * time.Second

// A target is where a server of this machine answers.
type target struct {
	address string
	tls     *tls.Config // nil for plain HTTP
}

// A client is one connection, kept open.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(ctx context.Context, t target) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	var conn net.Conn
	var err error
	if t.tls == nil {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
	} else {
		conn, err = (&tls.Dialer{Config: t.tls}).DialContext(ctx, "tcp", t.address)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to a server: %w", err)
	}
	return &client{conn, bufio.NewReaderSize(conn, maxLine)}, nil
}

// do sends one request and reads its answer.
func (c *client) do(request []byte, sink io.Writer) (status, length int, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, 0, fmt.Errorf("sending a request: %w", err)
	}
	if status, length, err = readAnswer(c.in, sink); err != nil {
		return status, length, fmt.Errorf("reading an answer: %w", err)
	}
	return status, length, nil
}

// A crowd is the connections of one measurement. It is a closed loop: each connection sends its next request when the answer to
// the last has come, as so many users without a pause would. A slow server therefore meets fewer requests, not a queue.
type crowd []*client

func gather(ctx context.Context, t target, connections int) (crowd, error) {
	var all crowd
	for range connections {
		c, err := dial(ctx, t)
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (cs crowd) close() {
	for _, c := range cs {
		c.conn.Close()
	}
}

// each runs one connection's part beside the others'. When one fails, or ctx ends, all connections are cut.
func (cs crowd) each(ctx context.Context, limit time.Duration, part func(i int, c *client) error) error {
	ctx, end := context.WithTimeoutCause(ctx, limit, errors.New("the server did not answer in time"))
	defer end()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop := context.AfterFunc(ctx, cs.close)
	defer stop()
	var parts sync.WaitGroup
	for i, c := range cs {
		parts.Go(func() {
			if err := part(i, c); err != nil {
				fail(err) // the first counts: the others fail because of it
			}
		})
	}
	parts.Wait()
	return context.Cause(ctx)
}

// verify asks each request once and keeps what its answer is to be. It returns the answers, as plainly tells them, so that servers
// can be compared, and is what warms the server up.
func (cs crowd) verify(ctx context.Context, requests []request, plainly func([]byte) []byte) ([]string, error) {
	answers := make([]string, len(requests))
	err := cs.each(ctx, time.Minute+grace, func(i int, c *client) error {
		var body bytes.Buffer
		for n := i; n < len(requests); n += len(cs) {
			body.Reset()
			status, length, err := c.do(requests[n].bytes, &body)
			if err != nil {
				return err
			}
			if status/100 != 2 {
				return fmt.Errorf("asking a server: status %d: %.300q", status, body.Bytes())
			}
			requests[n].status, requests[n].length = status, length
			answers[n] = fmt.Sprintf("%d %s", status, plainly(body.Bytes()))
		}
		return nil
	})
	return answers, err
}

// asItIs is for answers that are compared byte for byte.
func asItIs(body []byte) []byte { return body }

// timeless takes out of a change's answer what is new each time: the id of what was made, and when.
func timeless(body []byte) []byte {
	return momentIn.ReplaceAll(idIn.ReplaceAll(body, []byte(`"id":"new"`)), []byte(`"now"`))
}

var (
	idIn     = regexp.MustCompile(`"id":"[0-9a-f-]{36}"`)
	momentIn = regexp.MustCompile(`"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)"`)
)

// load sends requests for d, and holds each answer against the one that it is to be.
func (cs crowd) load(ctx context.Context, requests []request, d time.Duration) (*histogram, time.Duration, error) {
	began := time.Now()
	each := make([]histogram, len(cs))
	err := cs.each(ctx, d+grace, func(i int, c *client) error {
		at := began
		for n := i * len(requests) / len(cs); at.Sub(began) < d; n++ {
			r := requests[n%len(requests)]
			status, length, err := c.do(r.bytes, io.Discard)
			if err != nil {
				return err
			}
			if !r.takes(status, length) {
				return wrong(status, length, r)
			}
			now := time.Now()
			each[i].add(now.Sub(at))
			at = now
		}
		return nil
	})
	took := time.Since(began)
	all := &each[0]
	for i := range each[1:] {
		all.merge(&each[i+1])
	}
	return all, took, err
}
