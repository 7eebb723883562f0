package layertest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// Organization is the id of the organization that this world calls name. It is made when it is first asked for, with an id that
// no other test has.
func (w *W) Organization(name string) layer.OrgID {
	w.tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	id, ok := w.orgs[name]
	if !ok {
		id = layer.OrgID(newID())
		w.provision(map[layer.OrgID]string{id: name}, nil)
		w.orgs[name] = id
	}
	return id
}

// provision needs w.mu.
func (w *W) provision(orgs map[layer.OrgID]string, people []identity.Provisioned) {
	w.tb.Helper()
	if w.admin == nil {
		conn, err := pgx.Connect(w.tb.Context(), w.database.Admin)
		must(w.tb, "connecting to provision", err)
		w.admin = conn
	}
	must(w.tb, "provisioning", identity.Provision(w.tb.Context(), w.admin, orgs, people))
}

// A Caller is somebody who asks: a person in one organization, by their API key unless Browser says otherwise; or a stranger.
type Caller struct {
	w            *W
	person       person
	organization string
	session      string // its token; empty for a stranger
	who          layer.Principal

	browser bool
	key     string // presented; made when first needed
	token   string // the synchroniser token, once a page has been read
}

type person struct {
	subject, name string
	groups        []string
	also          []string
	unintroduced  bool
	proved        time.Duration // how long before a sign-in they proved to the provider who they are
	level         string        // the acr that the provider says
}

// An Option says what is special about a person.
type Option func(*person)

// Named gives a person a name instead of one of nobody's.
func Named(name string) Option { return func(p *person) { p.name = name } }

// AlsoOf makes a person a member of another organization too; see Caller.SignIn.
func AlsoOf(org string) Option { return func(p *person) { p.also = append(p.also, org) } }

// Creators is the provider's group whose people may make organizations, in a World.
const Creators = "layertest:creators"

// InGroup puts a person into another group of the provider's.
func InGroup(group string) Option { return func(p *person) { p.groups = append(p.groups, group) } }

// Unintroduced leaves out the application's onboarding.
func Unintroduced() Option { return func(p *person) { p.unintroduced = true } }

// Member is a new person, provisioned in org alone, signed in, and introduced by the application's own onboarding.
func (w *W) Member(org string, options ...Option) *Caller {
	w.tb.Helper()
	return w.enter(org, nil, options)
}

// Administrator is a Member whom the identity provider calls an administrator of org.
func (w *W) Administrator(org string, options ...Option) *Caller {
	w.tb.Helper()
	return w.enter(org, []string{identity.AdministratorGroup(w.Organization(org))}, options)
}

// Stranger is somebody without a credential.
func (w *W) Stranger() *Caller { return &Caller{w: w} }

func (w *W) enter(org string, groups []string, options []Option) *Caller {
	w.tb.Helper()
	suffix := strings.ToLower(rand.Text()[:8])
	p := person{subject: "layertest-" + suffix, name: "Person " + suffix, groups: groups}
	for _, o := range options {
		o(&p)
	}
	orgs := []layer.OrgID{w.Organization(org)}
	for _, name := range p.also {
		orgs = append(orgs, w.Organization(name))
	}
	w.mu.Lock()
	w.provision(nil, []identity.Provisioned{{Issuer: issuer, Subject: p.subject, Email: p.subject + "@example.test", Name: p.name, Organizations: orgs}})
	w.mu.Unlock()
	c := (&Caller{w: w, person: p}).SignIn(org)
	if !p.unintroduced && w.Server != nil && w.app.Onboarding != "" {
		c.introduce()
	}
	return c
}

// SignIn is the same person after signing in once more, to org; the sessions they have live on.
func (c *Caller) SignIn(org string) *Caller {
	c.w.tb.Helper()
	id := c.w.Organization(org)
	token, who, err := c.w.Identity.InsecureSignIn(c.w.tb.Context(), c.Claims(), id)
	must(c.w.tb, "signing in", err)
	return &Caller{w: c.w, person: c.person, organization: org, session: token, who: who}
}

// Stale is the same person in another session, for which they proved to the provider hours ago who they are: what asks for a fresh
// proof refuses it (SYSTEM I6). All other sessions are fresh.
func (c *Caller) Stale() *Caller {
	c.w.tb.Helper()
	return c.proved(11*time.Hour, c.person.level)
}

// Assured is the same person in another session, for which the provider says that they have proved just now who they are, at level.
func (c *Caller) Assured(level string) *Caller {
	c.w.tb.Helper()
	return c.proved(0, level)
}

func (c *Caller) proved(ago time.Duration, level string) *Caller {
	c.w.tb.Helper()
	other := *c
	other.person.proved, other.person.level = ago, level
	again := other.SignIn(c.organization)
	again.browser = c.browser
	return again
}

// Claims is what the identity provider says about the person.
func (c *Caller) Claims() signon.Claims {
	return signon.Claims{Issuer: issuer, Subject: c.person.subject, Email: c.person.subject + "@example.test", Name: c.person.name,
		Groups: slices.Clone(c.person.groups), AuthTime: time.Now().Add(-c.person.proved), ACR: c.person.level}
}

// introduce does what the person would: it opens the application's onboarding and presses its button.
func (c *Caller) introduce() {
	c.w.tb.Helper()
	at := c.w.app.Onboarding
	b := c.Browser()
	page := b.Get(at).OK()
	form, ok := page.form(at)
	if !ok {
		c.w.tb.Fatalf("the onboarding page %s has no form that is sent to %s", at, at)
	}
	b.Post(at, form).Status(http.StatusSeeOther)
}

// Principal is who the caller is, as package identity has verified it from their session.
func (c *Caller) Principal() layer.Principal { return c.who }

// Organization is what the world calls the organization for which the caller asks; empty for a stranger.
func (c *Caller) Organization() string { return c.organization }

// Session is the secret token of the caller's session, for tests of what its holder can do.
func (c *Caller) Session() string { return c.session }

// APIKey makes an API key with these scopes, or with all that the caller has for none, and returns its secret.
func (c *Caller) APIKey(scopes ...string) string {
	c.w.tb.Helper()
	if len(scopes) == 0 {
		scopes = slices.DeleteFunc(slices.Concat(c.w.app.Scopes.Member, c.w.app.Scopes.Administrator), func(s string) bool { return !c.who.Has(s) })
	}
	key, err := action.Do(c.w.tb.Context(), c.w.DB, c.who, "keys:write", func(tx *action.Tx) (string, error) {
		secret, _, err := c.w.Identity.AddKey(tx.Tx, c.who, "layertest", scopes, time.Hour)
		return secret, err
	})
	must(c.w.tb, "making an API key (without the scope keys:write use Browser)", err)
	return key
}

// WithKey is the same person asking by an API key with only these scopes.
func (c *Caller) WithKey(scopes ...string) *Caller {
	c.w.tb.Helper()
	other := *c
	other.browser, other.key = false, c.APIKey(scopes...)
	return &other
}

// Browser is the same person asking by a browser: with the session's cookie, and what our pages make a browser add.
func (c *Caller) Browser() *Caller {
	other := *c
	other.browser, other.key = true, ""
	return &other
}

func newID() string {
	b := random(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	x := hex.EncodeToString(b)
	return fmt.Sprintf("%s-%s-%s-%s-%s", x[:8], x[8:12], x[12:16], x[16:20], x[20:])
}
