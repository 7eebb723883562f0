package edge

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

const reserved = "/.redoubt" // begins the paths that are the edge's own at every host

// serve handles one public request: check, ask the gate, forward, log.
func (e *Edge) serve(w http.ResponseWriter, r *http.Request) {
	v := &visit{id: newID(), began: time.Now()}
	v.answer.ResponseWriter = w
	from := callerOf(r.Context())
	if v.client = clientIP(r.RemoteAddr); from != nil {
		v.answer.guard = from.guard
		from.place.enter()
		defer from.place.leave()
	}
	e.watched.add(v)
	defer func() { // also when an answer is cut short by panic
		v.finish()
		e.watched.remove(v)
		e.record(r, v)
	}()
	if r.Body != nil && (r.ContentLength != 0 || saysEmpty(r)) {
		u := newUpload(w, r, -1, e.times.progress)
		v.setBody(u)
		r.Body = u
		defer u.end()
	}
	if e.config.AltSvc != "" && r.ProtoMajor < 3 {
		w.Header().Set("Alt-Svc", e.config.AltSvc)
	}
	if r.ProtoMajor == 1 && e.closing.Load() {
		w.Header().Set("Connection", "close")
	}
	if d := e.receive(r, v); d != nil {
		e.render(r, v, d)
	}
}

// newID names a request: uniquely, and telling nobody how many there are. Nothing is authorized by it.
func newID() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b [26]byte
	for half := range 2 {
		for i, n := 0, rand.Uint64(); i < 13; i, n = i+1, n>>5 {
			b[13*half+i] = letters[n&31]
		}
	}
	return string(b[:])
}

// saysEmpty is of a request in HTTP/2 or later that says the length of its body, which is 0, while it may still go on.
func saysEmpty(r *http.Request) bool {
	return r.ProtoMajor > 1 && r.ContentLength == 0 && len(r.Header["Content-Length"]) > 0
}

// checkEmpty waits for the end of a body that is said to be empty: what is in it would be nobody's.
func (v *visit) checkEmpty(r *http.Request) *denial {
	u := v.body
	if u == nil {
		return nil
	}
	defer v.setBody(nil)
	r.Body = http.NoBody
	switch _, err := u.Read(make([]byte, 1)); {
	case err == io.EOF:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return slowBody()
	}
	return malformed("framing", "The request's length is not what it said.")
}

func slowBody() *denial {
	return deny(http.StatusRequestTimeout, layer.Limited, "slow body", "The request's body came too slowly.")
}

func (v *visit) setBody(u *upload) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.body = u
}

func clientIP(remote string) netip.Addr {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("") // a link-local address's zone means nothing elsewhere
}

// receive answers r, or says why it does not.
func (e *Edge) receive(r *http.Request, v *visit) *denial {
	s, d := e.check(r)
	if v.site = s; d != nil {
		return d
	}
	if v.body != nil {
		v.body.left = s.MaxBody
	}
	if saysEmpty(r) {
		if d := v.checkEmpty(r); d != nil {
			return d
		}
	}
	if d := e.rates.check(v.client, v.answer.Header()); d != nil {
		return d
	}
	own := strings.HasPrefix(r.URL.Path, reserved) && (len(r.URL.Path) == len(reserved) || r.URL.Path[len(reserved)] == '/')
	if own && r.URL.Path == reserved+"/keys" {
		return e.keys(r, v)
	}
	if len(r.Header["Upgrade"]) > 0 {
		v.upgrade = webSocket
	}
	dropHops(r.Header)
	if s.Standby != nil && !own {
		if notice, on := s.Standby(); on {
			return standby(notice)
		}
	}
	admission, answered := e.config.Gate.Admit(&v.answer, r, access.Visitor{Application: s.Name, Client: v.client, ID: v.id})
	v.rule, v.session, v.by, v.refused = admission.Rule, admission.Who.Session, admission.Who.By, admission.Refused
	if answered {
		return nil
	}
	if own {
		return deny(http.StatusNotFound, layer.NotFound, "reserved", "There is nothing here.")
	}
	dropClaims(r.Header)
	v.admission.Store(&admission)
	return e.forward(r, v, admission.Who)
}

// forward sends r to the application, and its answer back.
func (e *Edge) forward(r *http.Request, v *visit, who assertion.SignOn) *denial {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	v.arm(cancel)
	resp, m, err := e.send(ctx, r, v, who)
	v.endHead()
	if err != nil {
		return e.diagnose(ctx, v, err)
	}
	defer v.site.pool.release(m)
	defer resp.Body.Close()
	switch {
	case resp.Status == http.StatusSwitchingProtocols && v.upgrade != "":
		return e.upgrade(r, v, resp)
	case resp.Status < 200 || resp.Status > 599:
		return badAnswer()
	}
	return e.reply(ctx, r, v, resp)
}

func badAnswer() *denial {
	return deny(http.StatusBadGateway, layer.Unavailable, "bad answer", "The application's answer could not be understood.")
}

// send sends r down a link. If that link fails before it answers, r goes down another one where a second try cannot do anything
// twice (RFC 9110 section 9.2.2). The link's place is the caller's to release, unless there is an error.
func (e *Edge) send(ctx context.Context, r *http.Request, v *visit, who assertion.SignOn) (*link.Response, *member, error) {
	out := &link.Request{
		Method: r.Method, Scheme: "https", Host: r.Host, Target: r.RequestURI, Header: r.Header,
		ContentLength: r.ContentLength, Upgrade: v.upgrade, Client: v.client, Informed: v.inform,
	}
	if v.body != nil {
		if names := announced(r.Trailer); len(names) > 0 {
			out.Header["Trailer"] = names
		}
		out.Trailer = func() http.Header { return trailers(r.Trailer) }
	}
	var tried [MaxAttempts]*member
	for n := 0; ; n++ {
		m, err := v.site.pool.take(ctx, tried[:n])
		if err != nil {
			return nil, nil, err
		}
		if v.attempts = n + 1; v.body != nil {
			out.Body = v.body.again()
		}
		resp, err := e.try(ctx, m, out, v, who)
		if err == nil {
			if v.body != nil {
				v.body.lost.Store(true) // there is no further attempt to keep anything for
			}
			return resp, m, nil
		}
		v.site.pool.release(m)
		if tried[n] = m; n+1 == MaxAttempts || !repeatable(ctx, r, v, err) {
			return nil, nil, err
		}
		e.counts.retries.Inc()
	}
}

// try sends out down m. Each attempt has a name of its own in the application's log.
func (e *Edge) try(ctx context.Context, m *member, out *link.Request, v *visit, who assertion.SignOn) (_ *link.Response, err error) {
	v.link = m.conn.ID()
	out.ID = v.id
	if v.attempts > 1 {
		out.ID += "-" + strconv.Itoa(v.attempts)
	}
	if out.Token, err = e.config.Signer.Token(v.site.Name, v.link, who); err != nil {
		return nil, &unsigned{err}
	}
	if v.site.AssertionHeader {
		facts := assertion.RequestFacts{Method: out.Method, Host: out.Host, Target: out.Target, ID: out.ID, Client: v.client}
		word, err := e.config.Signer.Header(v.site.Name, facts, who)
		if err != nil {
			return nil, &unsigned{err}
		}
		out.Header[assertion.HeaderName] = []string{word}
	}
	return m.conn.RoundTrip(ctx, out)
}

// An unsigned error is no link's: nothing was sent, and nothing will be.
type unsigned struct{ error }

func (u *unsigned) Unwrap() error { return u.error }

// repeatable reports whether r, having failed with err, may be tried again. Neither a client that has gone away nor an application
// that takes too long is a link's failure. What has a body goes out again only if the application has seen nothing of it, and if all that
// was read of it is kept.
func repeatable(ctx context.Context, r *http.Request, v *visit, err error) bool {
	var not *unsigned
	if ctx.Err() != nil || errors.Is(err, link.ErrTimeout) || errors.As(err, &not) || v.body != nil && v.body.lost.Load() {
		return false
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	return link.Unprocessed(err) || safe && v.body == nil
}

// diagnose says what to answer to a request that brought no response. Nobody is told more than that.
func (e *Edge) diagnose(ctx context.Context, v *visit, err error) *denial {
	d := v.diagnosis(ctx, err)
	d.Cause = err
	return d
}

func (v *visit) diagnosis(ctx context.Context, err error) *denial {
	switch bodyErr := v.body.failure(ctx); {
	case errors.Is(bodyErr, errBodyTooLarge):
		return tooLarge()
	case errors.Is(bodyErr, os.ErrDeadlineExceeded):
		return slowBody()
	case errors.Is(bodyErr, errFraming):
		return malformed("framing", "The request's framing is ambiguous.")
	case errors.Is(v.cause(), errShutOut):
		return deny(http.StatusUnauthorized, layer.Unauthenticated, "shut out", "You may no longer pass; sign on again.")
	case errors.Is(v.cause(), errLeaving):
		return deny(http.StatusServiceUnavailable, layer.Unavailable, "stopping", "The server is being restarted; try again shortly.")
	case ctx.Err() != nil:
		return deny(statusClientGone, layer.Unavailable, "client gone", "The client went away.")
	case bodyErr != nil:
		return malformed("body", "The request's body could not be read.")
	case errors.Is(err, errNoLink):
		return deny(http.StatusServiceUnavailable, layer.Unavailable, "no link", "The application is not connected; try again shortly.")
	case errors.Is(err, errLinkBusy), errors.Is(err, link.ErrBusy):
		return deny(http.StatusServiceUnavailable, layer.Unavailable, "links busy", "Too many requests at once; try again shortly.")
	case errors.Is(err, link.ErrTimeout):
		return deny(http.StatusGatewayTimeout, layer.Unavailable, "slow application", "The application did not answer in time.")
	}
	return deny(http.StatusBadGateway, layer.Unavailable, "link failed", "The connection to the application broke; what was asked may or may not have been done.")
}

// reply hands the application's answer to the client as it comes. Nothing is kept, and what has no length is not held back.
func (e *Edge) reply(ctx context.Context, r *http.Request, v *visit, resp *link.Response) *denial {
	h := v.answer.Header()
	copyAnswer(h, resp.Header)
	announced := resp.Header["Trailer"]
	if resp.ContentLength < 0 && len(announced) > 0 {
		h["Trailer"] = announced
	}
	if length := resp.Header["Content-Length"]; len(length) > 0 && resp.Status != http.StatusNoContent { // RFC 9110 section 8.6
		h["Content-Length"] = length // by the link's count, not by the application's
	}
	if v.upgrade != "" {
		h.Set("Connection", "close") // what follows on this connection is nobody's request
	}
	events := strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
	v.endless.Store(events)
	v.answer.WriteHeader(resp.Status)
	if err := pass(&v.answer, resp.Body, events || resp.ContentLength < 0); err != nil {
		return v.interrupt(ctx, err)
	}
	if resp.Trailer != nil {
		putTrailers(h, announced, trailers(resp.Trailer()))
	}
	return nil
}

// interrupt ends an answer that has begun and cannot be finished: the client must not take what it has for the whole.
func (v *visit) interrupt(ctx context.Context, err error) *denial {
	var gone *writeError
	switch cause := v.cause(); {
	case errors.Is(cause, errLeaving) && v.endless.Load():
		v.broken = "stopping"
		return nil // an event stream, after which the client comes again by itself
	case cause != nil:
		v.broken = "shut out"
	case errors.As(err, &gone) || ctx.Err() != nil:
		v.broken = "client gone"
	default:
		v.broken = "link failed"
	}
	panic(http.ErrAbortHandler)
}

// A writeError is the client's.
type writeError struct{ error }

// pass copies a body, and flushes at once if told so.
func pass(to *answer, from io.Reader, flush bool) error {
	out := outlet{to, flush}
	if flush {
		if err := to.FlushError(); err != nil { // the head, even before the first byte is there
			return &writeError{err}
		}
	}
	_, err := io.Copy(&out, from) // the link's body writes its pieces by itself
	return err
}

// An outlet is the way to the client.
type outlet struct {
	answer *answer
	flush  bool
}

func (o *outlet) Write(p []byte) (n int, err error) {
	if n, err = o.answer.Write(p); err == nil && o.flush {
		err = o.answer.FlushError()
	}
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}

// copyAnswer takes over the headers of an application's answer, save for those of the link and those that are the edge's to say.
func copyAnswer(to, from http.Header) {
	access.DropCookies(from)
	connection := from["Connection"]
	for name, values := range from {
		switch {
		case name == "Set-Cookie":
			to[name] = append(to[name], values...) // the gate may have set its own
		case name == "Server" || name == "Alt-Svc": // what runs behind the edge, and where else it may be reached
		case isHop[name] || len(connection) > 0 && announces(connection, name):
		default:
			to[name] = values
		}
	}
}

// putTrailers sets what is sent after the body: under its own name if it was announced before, else by net/http's convention.
func putTrailers(h http.Header, announced []string, last http.Header) {
	for name, values := range last {
		if !announces(announced, name) {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}

func announces(lines []string, name string) bool {
	for _, line := range lines {
		for announced := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(announced), name) {
				return true
			}
		}
	}
	return false
}
