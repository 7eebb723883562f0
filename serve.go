package redoubt

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/page"
	"github.com/redoubt-dev/redoubt/layer/gate/route"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// A call is one request on its way through the layers.
type call struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	route   Route
	who     layer.Principal
	frame   Frame
	problem *Problem // of the refused form that this page shows again
	fits    bool     // what was sent fits the route, and came from a page of ours if it had to
	sent    map[string]string
}

// visit notes where the request came from, by the verified word of the edge.
func (s *Server) visit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := layer.Visit{}
		if seen, ok := perimeter.From(r.Context()); ok {
			v = layer.Visit{Address: seen.ClientIP, RequestID: seen.RequestID}
		} else {
			peer, _ := netip.ParseAddrPort(r.RemoteAddr)
			v = layer.Visit{Address: peer.Addr(), RequestID: rand.Text()}
		}
		next.ServeHTTP(w, r.WithContext(layer.WithVisit(r.Context(), v)))
	})
}

// serve routes. A path has one spelling here, and the mux mends no other: who reads the path before us, such as an edge with a
// policy, must not read another than we serve (SYSTEM P6, A1). What no pattern matches is answered in our form, not in the mux's.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	target := strings.TrimPrefix(r.RequestURI, s.cfg.Origin) // an absolute target (RFC 9112 section 3.2.2) is of our origin or of none
	if err := route.Spelled(target); err != nil {
		s.refuse(w, r, &layer.Refusal{By: layer.GateRoute, Reason: layer.NotFound, Public: "There is nothing here.", Cause: err})
		return
	}
	handler, pattern := s.mux.Handler(r)
	if pattern == "" {
		s.unmatched(w, r, handler)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// unmatched asks the mux what it would have said, for the status and the Allow header.
func (s *Server) unmatched(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	var said sniff
	handler.ServeHTTP(&said, r)
	switch {
	case said.status == http.StatusMethodNotAllowed:
		w.Header().Set("Allow", said.Header().Get("Allow"))
		s.refuse(w, r, &layer.Refusal{By: layer.GateRoute, Reason: layer.Unsupported, Public: "This address does not take that method.", Cause: errMethod})
	case said.status/100 == 3:
		http.Redirect(w, r, said.Header().Get("Location"), said.status)
	default:
		s.refuse(w, r, &layer.Refusal{By: layer.GateRoute, Reason: layer.NotFound, Public: "There is nothing here.", Cause: errNoRoute})
	}
}

var (
	errMethod  = errors.New("no route has this method")
	errNoRoute = errors.New("no route has this address")
)

// sniff keeps the status and the headers of a response and nothing else.
type sniff struct {
	header http.Header
	status int
}

func (n *sniff) Header() http.Header {
	if n.header == nil {
		n.header = http.Header{}
	}
	return n.header
}
func (n *sniff) WriteHeader(status int)      { n.status = status }
func (n *sniff) Write(p []byte) (int, error) { return len(p), nil }

// handle registers one route: identity, first gate, token, input, handler, and for a page the second gate, in this order.
func (s *Server) handle(pattern string) {
	route := s.routes[pattern]
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		c := &call{s: s, w: w, r: r, route: route}
		if err := c.through(); err != nil {
			c.refuse(err)
		}
	})
}

func (c *call) through() (err error) {
	if c.who, err = c.identify(); err != nil {
		return err
	}
	if err = c.s.gate.Check(c.route.Pattern, c.who); err != nil {
		return err
	}
	in, release, err := c.bind(c.bound())
	if err != nil {
		return err
	}
	defer release()
	if err = c.token(); err != nil {
		return err
	}
	c.fits = true
	if c.route.kind == builtin {
		return c.route.serve(c)
	}
	out, err := c.route.run(c.r.Context(), c.who, in.Interface())
	if err != nil {
		return err
	}
	return c.answer(out)
}

// bind reads what r says. Files are in the spool until release, and one caller's place among those who send some is taken so long.
func (c *call) bind(r *http.Request) (in reflect.Value, release func(), err error) {
	leave := func() {}
	if c.route.uploads() {
		if leave, err = c.s.uploading.enter(c.who); err != nil {
			return in, nil, err
		}
	}
	in = c.fresh()
	if err = c.route.schema.Bind(r, input.Limits{Spool: c.s.spool}, c.target(in)); err != nil {
		leave()
		return in, nil, err
	}
	return in, func() { c.route.schema.Release(in.Interface()); leave() }, nil
}

// fresh is an empty value of what the route takes.
func (c *call) fresh() reflect.Value { return reflect.New(c.route.in) }

// target is where Bind writes to: nothing, for a route that takes nothing.
func (c *call) target(in reflect.Value) any {
	if c.route.in.Kind() == reflect.Struct && c.route.in.NumField() == 0 {
		return nil
	}
	return in.Interface()
}

// token is the second of three defences against forged requests (SYSTEM T3): whoever changes something with a cookie must have
// read one of our pages. An API key is no cookie: no browser adds it by itself. Whether something changes is the declaration's word and not the
// request's, so that a change which somehow came to answer a link still asks for it.
func (c *call) token() error {
	if c.route.Method() == http.MethodGet || c.who.Nobody() || !c.who.Interactive() {
		return nil
	}
	presented := c.r.Header.Get(transport.TokenHeader)
	if presented == "" && c.route.kind != api {
		c.sent = c.typed() // net/http takes the body
		presented = c.r.PostFormValue(transport.TokenField)
	}
	return c.s.transport.CheckToken(c.who.CredentialID(), presented)
}

// typed is what was typed into the form that c has brought.
func (c *call) typed() map[string]string {
	if c.sent != nil {
		return c.sent
	}
	return c.route.schema.Typed(c.r, input.Limits{})
}

func (c *call) answer(out any) error {
	if err := c.forget(); err != nil {
		return err
	}
	switch {
	case c.route.kind == api:
		return c.json(out)
	case c.route.kind == download_:
		return c.download(out.(*file.Content))
	case c.route.out == reflect.TypeFor[View]():
		return c.page(out.(View), http.StatusOK)
	}
	return c.done(out)
}

func (c *call) json(out any) error {
	if c.route.out.Kind() == reflect.Struct && c.route.out.NumField() == 0 {
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	body, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	c.w.Header().Set("Content-Type", "application/json")
	if at, ok := out.(locator); ok && c.r.Method == http.MethodPost {
		c.w.Header().Set("Location", APIPrefix+at.Location())
		c.w.WriteHeader(http.StatusCreated)
	}
	c.w.Write(append(body, '\n'))
	return nil
}

// done leads a browser on after its form has been accepted.
func (c *call) done(out any) error {
	to := c.route.then
	if at, ok := out.(locator); ok && to == "" {
		to = at.Location()
	}
	if to == ".." {
		to = c.cameFrom()
	}
	if c.route.notice != "" {
		http.SetCookie(c.w, transport.Cookie(noticeCookie, noticeID(c.route.Pattern), time.Minute))
	}
	http.Redirect(c.w, c.r, to, http.StatusSeeOther)
	return nil
}

// cameFrom is the page of ours that the form was on, or the first page.
func (c *call) cameFrom() string {
	u, err := url.Parse(c.r.Referer())
	if err != nil || u.Scheme+"://"+u.Host != c.s.cfg.Origin {
		return "/"
	}
	if path, ok := transport.LocalPath(u.RequestURI()); ok {
		return path
	}
	return "/"
}

// noticeCookie carries which form has just been accepted, to the next page, by a name of ours: what the page says about it
// comes from the declarations, not from the browser.
const noticeCookie = "redoubt-notice"

func noticeID(pattern string) string {
	h := sha256.Sum256([]byte(pattern))
	return hex.EncodeToString(h[:6])
}

// page passes the second gate and renders. Nothing is sent before the page is whole.
func (c *call) page(v View, status int) error {
	if err := c.fill(c.route.Access == Administrators && status < http.StatusBadRequest); err != nil {
		return err
	}
	if c.frame.Viewer != nil && !c.onboarded() {
		http.Redirect(c.w, c.r, c.s.cfg.App.Onboarding, http.StatusSeeOther)
		return nil
	}
	var buf bytes.Buffer
	if err := c.s.pages.Render(&buf, c.frame, v); err != nil {
		return fmt.Errorf("rendering %s: %w", v.Page, err)
	}
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.WriteHeader(status)
	c.w.Write(buf.Bytes())
	return nil
}

// fill makes the frame, asking the session store again: this is the second gate (SYSTEM A2). What a page for administrators
// says when it refuses is for everybody.
func (c *call) fill(administratorsOnly bool) error {
	ctx := c.r.Context()
	c.frame = Frame{Application: c.s.cfg.App.Name, Path: c.r.URL.Path, Nonce: transport.Nonce(ctx), Problem: c.problem}
	c.takeNotice()
	if c.problem != nil {
		c.frame.Typed = c.typed()
	}
	if !c.who.Interactive() {
		return nil
	}
	if err := c.restore(); err != nil {
		return err
	}
	var snap identity.Snapshot
	administrator, err := c.s.page.Check(ctx, c.who, administratorsOnly, func(ctx context.Context, who layer.Principal) (page.State, error) {
		var err error
		snap, err = c.s.cfg.Identity.Snapshot(ctx, who)
		return page.State{Hash: snap.Hash, Claims: snap.Claims, MAC: snap.MAC, Organization: snap.Organization, Profile: snap.Profile, Live: snap.Live}, err
	})
	if err != nil {
		return err
	}
	c.frame.Token = c.s.transport.Token(c.who.CredentialID())
	c.frame.Viewer = &Viewer{Name: snap.Name, Email: snap.Email, Profile: snap.Profile, Administrator: administrator,
		Organization: Organization{ID: snap.Organization, Name: snap.OrganizationName}, Onboarded: snap.Onboarded,
		Role: c.who.Role(), Creator: c.s.cfg.Identity.Creates(snap.Claims), May: c.who.Has}
	for _, p := range snap.Places {
		c.frame.Viewer.Organizations = append(c.frame.Viewer.Organizations, Organization{ID: p.ID, Name: p.Name})
	}
	return nil
}

func (c *call) takeNotice() {
	ck, err := c.r.Cookie(transport.CookieName(noticeCookie))
	if err != nil {
		return
	}
	c.frame.Notice = c.s.notices[ck.Value]
	http.SetCookie(c.w, transport.Expired(noticeCookie))
}

// onboarded reports whether the page may be shown before the person has a profile.
func (c *call) onboarded() bool {
	at := c.s.cfg.App.Onboarding
	return at == "" || c.frame.Viewer.Onboarded || c.r.URL.Path == at || !strings.HasPrefix(c.route.Pattern, "GET ")
}
