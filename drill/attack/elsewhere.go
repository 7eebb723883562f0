package attack

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Bounds of an attacker's own site.
const (
	maxAsked     = 500     // requests that it remembers
	maxAskedBody = 1 << 20 // bytes of one that it reads
)

// An elsewhere is a site of the attacker's. It is on this machine's loopback, in plain HTTP, by its number: to a browser another site than
// the copy's, and one that a secure page may load from. It remembers what it is asked.
type elsewhere struct {
	Origin string // "http://127.0.0.1:40002"

	mu    sync.Mutex
	pages map[string]string // HTML by path; everything else is an empty page
	asked []string          // "GET /path?query referer cookie body"
}

// elsewhere opens a site for as long as the attack takes.
func (s *Scene) elsewhere(ctx context.Context) (*elsewhere, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the attacker's site: %w", err)
	}
	e := &elsewhere{Origin: "http://" + l.Addr().String(), pages: map[string]string{}}
	server := &http.Server{Handler: e, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go server.Serve(l) // ends with Close
	context.AfterFunc(ctx, func() { server.Close() })
	return e, nil
}

// show puts a page there.
func (e *elsewhere) show(path, page string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pages[path] = "<!doctype html><title>elsewhere</title>" + page
}

// ServeHTTP implements http.Handler.
func (e *elsewhere) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxAskedBody)) // what came until then is what came
	e.mu.Lock()
	page := e.pages[r.URL.Path]
	if len(e.asked) < maxAsked {
		e.asked = append(e.asked, strings.Join([]string{r.Method, r.URL.String(), r.Referer(), r.Header.Get("Cookie"), string(body)}, " "))
	}
	e.mu.Unlock()
	w.Header().Set("Access-Control-Allow-Origin", "*") // the attacker hides nothing
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, page)
}

// was reports whether a request had all of the words in it, one after the other.
func (e *elsewhere) was(asked ...string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.asked {
		if inOrder(one, asked) {
			return true
		}
	}
	return false
}

func inOrder(text string, words []string) bool {
	for _, w := range words {
		_, rest, found := strings.Cut(text, w)
		if !found {
			return false
		}
		text = rest
	}
	return true
}

// How long an attack in a browser waits for what would have happened by then: after a page has loaded, with everything that is in it; and
// after something that has to go to a server and come back. Where the page itself tells that it is over, it is not waited for longer.
const (
	aMoment = 300 * time.Millisecond
	aWhile  = 900 * time.Millisecond
)

// within reports whether something comes to be before the wait is over, or ctx.
func within(ctx context.Context, wait time.Duration, happened func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for !happened() {
		select {
		case <-ctx.Done():
			return happened()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}

// encoded is text as a script on the attacker's site reads it with atob.
func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
