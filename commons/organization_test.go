package commons_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/redoubt-dev/redoubt/backbone/mail"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/commons/account"
	"github.com/redoubt-dev/redoubt/commons/organization"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// A box takes mail, or refuses to.
type box struct {
	mu   sync.Mutex
	full bool
	got  []mail.Message
}

func (b *box) Send(_ context.Context, m mail.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		return errors.New("the box is full")
	}
	b.got = append(b.got, m)
	return nil
}

func TestSomebodyIsInvitedAndComesIn(t *testing.T) { // SYSTEM I1, I4
	d := newDoor(t)
	boss := d.w.Administrator("Acme")
	if page := d.signIn("/sign-in", "mallory"); page.Code != http.StatusForbidden || !strings.Contains(page.Body.String(), "Ask an owner or an administrator") || !strings.Contains(page.Body.String(), "open the link in the mail") {
		t.Fatalf("before: %d %s", page.Code, page.Body)
	}
	var made organization.Invited
	boss.Post("/api/v1/invitations", organization.Invite{Email: "Mallory@Outside.test", Role: "guest"}).Status(http.StatusCreated).JSON(&made)
	path := strings.TrimPrefix(made.Link, layertest.Origin)
	shown := d.get(path)
	if body := shown.Body.String(); shown.Code != http.StatusOK || !strings.Contains(body, "Come to <bdi>Acme</bdi>") || strings.Contains(strings.ToLower(body), "mallory") {
		t.Fatalf("the page: %d %s", shown.Code, body)
	}
	in := d.accept(path, "mallory")
	if in.Code != http.StatusSeeOther || in.Header().Get("Location") != "/" {
		t.Fatalf("accepting: %d %s", in.Code, in.Body)
	}
	if page := d.get("/organization"); page.Code != http.StatusOK && page.Header().Get("Location") != "/onboarding" {
		t.Errorf("afterwards: %d %s", page.Code, page.Header())
	}
	clear(d.jar) // as somebody who has found the link
	for _, again := range []string{path, "/invitations/rdi_" + strings.Repeat("A", 43), "/invitations/x"} {
		if page := d.get(again); page.Code != http.StatusNotFound || !strings.Contains(page.Body.String(), "This invitation is not good, or not any more.") {
			t.Errorf("%s: %d", again, page.Code)
		}
	}
}

// accept presses the button of the page at path, and comes back from the provider as somebody.
func (d *door) accept(path, person string) *httptest.ResponseRecorder {
	d.t.Helper()
	r := httptest.NewRequestWithContext(d.t.Context(), "POST", layertest.Origin+path, nil)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", layertest.Origin)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	rec := d.send(r)
	if rec.Code != http.StatusSeeOther {
		d.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	return d.through(rec.Header().Get("Location"), person)
}

func TestTheLinkIsOfNoUseToAnybodyElse(t *testing.T) { // SYSTEM I1
	d := newDoor(t)
	boss := d.w.Administrator("Acme")
	var made organization.Invited
	boss.Post("/api/v1/invitations", organization.Invite{Email: "ann@acme.test", Role: "member"}).Status(http.StatusCreated).JSON(&made)
	path := strings.TrimPrefix(made.Link, layertest.Origin)
	for _, person := range []string{"mallory", "alice"} { // a stranger, and a member
		if page := d.accept(path, person); page.Code != http.StatusForbidden || !strings.Contains(page.Body.String(), "not for the address that you have signed in with") {
			t.Errorf("%s: %d %s", person, page.Code, page.Body)
		}
	}
	if page := d.get(path); page.Code != http.StatusOK {
		t.Errorf("it is used up: %d", page.Code)
	}
}

func TestAnInvitationIsMailedAndSurvivesAMailThatIsNot(t *testing.T) {
	w, b := layertest.World(t, commons.App), &box{}
	p := w.Parts()
	p.Mail, p.Origin = b, "https://commons.test"
	o, err := organization.New(p)
	if err != nil {
		t.Fatal(err)
	}
	boss := w.Administrator("Acme. Go to evil.example/now", layertest.Named("Ann of https://evil.example"))
	for _, full := range []bool{false, true} {
		b.full = full
		made, err := o.Invite(t.Context(), boss.Principal(), organization.Invite{Email: "Bea@Acme.test", Role: "member"})
		if err != nil || made.Mailed == full || !strings.HasPrefix(made.Link, "https://commons.test/invitations/rdi_") {
			t.Errorf("got %+v, %v", made, err)
		}
	}
	if len(b.got) != 1 {
		t.Fatalf("%d mails", len(b.got))
	}
	m := b.got[0]
	if m.To != "bea@acme.test" || strings.ContainsAny(m.Subject, "\r\n\u202e") || strings.Contains(m.Text+m.Subject+m.HTML, "evil.example") || !strings.Contains(m.Text, "https://commons.test/invitations/rdi_") {
		t.Errorf("the mail is %q", m)
	}
}

func TestAnOwnRoleOpensWhatItHolds(t *testing.T) { // SYSTEM I4
	w := layertest.World(t, commons.App)
	boss, member := w.Administrator("Acme"), w.Member("Acme")
	offer := map[string]any{"name": "Pass", "price_cents": 1800}
	member.Browser().Post("/api/v1/products", offer).Refused(http.StatusForbidden, layer.GateRoute)
	role := boss.Post("/api/v1/roles", organization.WriteRole{Name: "Seller", Scopes: []string{"products:write"}}).Created()
	boss.Put("/api/v1/members/"+profile(member)[0]+"/role", map[string]string{"role": "member", "own_role_id": role.ID}).NoContent()
	member.Browser().Post("/api/v1/products", offer).Created()
	boss.Delete("/api/v1/roles/" + role.ID).NoContent()
	member.Browser().Post("/api/v1/products", offer).Refused(http.StatusForbidden, layer.GateRoute)
	boss.Post("/api/v1/roles", organization.WriteRole{Name: "Eraser", Scopes: []string{"members:erase"}}).Refused(http.StatusForbidden, layer.Identity)
	boss.Post("/api/v1/roles", organization.WriteRole{Name: "Owner", Scopes: []string{"products:write"}}).Refused(http.StatusUnprocessableEntity, layer.RLS)
}

func TestTheMembersOfAnOrganizationSeeWhatTheyAre(t *testing.T) { // SYSTEM I4
	w := layertest.World(t, commons.App)
	boss, guest := w.Administrator("Acme"), w.Member("Acme")
	boss.Put("/api/v1/members/"+profile(guest)[0]+"/role", map[string]string{"role": "guest"}).NoContent()
	var about organization.About
	guest.Browser().Get("/api/v1/organization").OK().JSON(&about)
	if about.Role != "guest" || about.Name != "Acme" || about.Members != 2 {
		t.Errorf("got %+v", about)
	}
	guest.Browser().Post("/api/v1/posts", map[string]string{"body": "x"}).Refused(http.StatusForbidden, layer.GateRoute)
	for _, path := range []string{"/admin/members", "/organization/invitations", "/organization/roles"} {
		guest.Browser().Get(path).NotFound(layer.GateRoute)
		boss.Browser().Get(path).OK()
	}
	guest.Browser().Get("/organization").OK()
	var list account.MemberList
	boss.Get("/api/v1/members").OK().JSON(&list)
	for _, m := range list.Members {
		if (m.ID == guest.Principal().Profile()) != (m.Role == "guest") {
			t.Errorf("%s is %s", m.ID, m.Role)
		}
	}
}

func TestWhoMakesOrganizations(t *testing.T) { // SYSTEM I4
	w := layertest.World(t, commons.App)
	name := url.Values{"name": {"Soylent"}}
	w.Member("Acme").Browser().Post("/organizations", name).NotFound(layer.Identity)
	w.Administrator("Acme").Browser().Post("/organizations", name).NotFound(layer.Identity)
	creator := w.Member("Acme", layertest.InGroup(layertest.Creators)).Browser()
	made := creator.Post("/organizations", name).Status(http.StatusSeeOther)
	cookie, err := http.ParseSetCookie(made.Header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	r := w.Stranger().Request("GET", "/api/v1/organization", nil)
	r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	var about organization.About
	w.Stranger().Do(r).OK().JSON(&about)
	if about.Name != "Soylent" || about.Role != "owner" || about.Members != 1 {
		t.Errorf("got %+v", about)
	}
	creator.Get("/organization").Status(http.StatusSeeOther) // the old session has ended: they are in the other one
}
