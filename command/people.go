package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// The organizations and people of a development system. Their ids are fixed, so that the provider's groups can name them.
const (
	acme   layer.OrgID = "5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d0001"
	globex layer.OrgID = "5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d0002"
)

var organizations = map[layer.OrgID]string{acme: "Acme", globex: "Globex"}

// A castMember is one of the people whom the provider knows. Where they belong is for the database to say.
type castMember struct {
	subject, email, name, note string
	member                     []layer.OrgID
	administers                []layer.OrgID
	creates                    bool // organizations
}

var cast = []castMember{
	{"dev-alice", "alice@acme.test", "Alice Archer", "Acme · administrator", []layer.OrgID{acme}, []layer.OrgID{acme}, true},
	{"dev-bob", "bob@acme.test", "Bob Baker", "Acme · member", []layer.OrgID{acme}, nil, false},
	{"dev-carol", "carol@globex.test", "Carol Chen", "Globex · administrator", []layer.OrgID{globex}, []layer.OrgID{globex}, false},
	{"dev-dave", "dave@globex.test", "Dave Dietrich", "Globex · member", []layer.OrgID{globex}, nil, false},
	{"dev-erin", "erin@both.test", "Erin Eze", "Acme and Globex · member", []layer.OrgID{acme, globex}, nil, false},
	{"dev-mallory", "mallory@outside.test", "Mallory Moss", "invited nowhere", nil, nil, false},
}

func (c castMember) groups() []string {
	groups := []string{}
	for _, org := range c.administers {
		groups = append(groups, identity.AdministratorGroup(org))
	}
	if c.creates {
		groups = append(groups, creatorGroup)
	}
	return groups
}

// creatorGroup is the development provider's group whose people may make organizations.
const creatorGroup = "redoubt:creators"

func devPeople() []devidp.Person {
	var people []devidp.Person
	for _, c := range cast {
		people = append(people, devidp.Person{Subject: c.subject, Email: c.email, Name: c.name, EmailVerified: true, Groups: c.groups(), Note: c.note})
	}
	return people
}

// A devPerson is a person in one organization, as up tells of them. The key is shown because this is the development profile.
type devPerson struct {
	Email        string `json:"email"`
	Name         string `json:"name"`
	Organization string `json:"organization"`
	Role         string `json:"role"`
	APIKey       string `json:"api_key"`
}

// memory is what a run leaves for the next, in people.json.
type memory struct {
	Issuer string            `json:"issuer"`
	Keys   map[string]string `json:"api_keys"` // by e-mail and organization
	Filled bool              `json:"filled"`   // the example content is there
}

func (s *system) recall(context.Context) error {
	s.remembered = memory{Keys: map[string]string{}}
	text, err := os.ReadFile(s.dir.people())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading what the last run left: %w", err)
	}
	if err := json.Unmarshal(text, &s.remembered); err != nil || s.remembered.Keys == nil {
		s.remembered = memory{Keys: map[string]string{}} // a torn file costs new keys, nothing else
	}
	return nil
}

// remember writes in one step, so that a crash leaves the old file or the new one.
func (s *system) remember() error {
	text, err := json.MarshalIndent(s.remembered, "", "  ")
	if err != nil {
		return err
	}
	temp := s.dir.people() + ".new"
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return fmt.Errorf("remembering for the next run: %w", err)
	}
	return os.Rename(temp, s.dir.people())
}

// fill provisions the people and, the first time, lets each of them do what the example says, in their own name.
func (s *system) fill(ctx context.Context) error {
	if err := s.provision(ctx); err != nil {
		return err
	}
	o, err := s.applicationOrder()
	if err != nil {
		return err
	}
	db, ids, done, err := o.stores(ctx, s.app)
	if err != nil {
		return err
	}
	defer done()
	people, end, err := s.signIn(ctx, ids)
	if err != nil {
		return err
	}
	defer end()
	if s.app.Example != nil && !s.remembered.Filled {
		keep, err := o.files()
		if err != nil {
			return err
		}
		files, err := redoubt.OpenFiles(db, keep)
		if err != nil {
			return err
		}
		if err := s.app.Example(ctx, redoubt.Parts{DB: db, Identity: ids, Provider: o.ProviderName, Files: files}, people); err != nil {
			return fmt.Errorf("filling in the example: %w", err)
		}
		if err := s.age(ctx); err != nil {
			return fmt.Errorf("spreading the example over time: %w", err)
		}
	}
	for _, p := range people {
		if err := s.describe(ctx, db, ids, p); err != nil {
			return fmt.Errorf("making a development key: %w", err)
		}
	}
	s.remembered.Issuer, s.remembered.Filled = s.issuer, true
	if err := s.remember(); err != nil {
		return err
	}
	s.tell.step("people", fmt.Sprintf("%d people in %d organizations", len(cast), len(organizations)))
	return nil
}

func (s *system) provision(ctx context.Context) error {
	admin, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return fmt.Errorf("connecting to provision people: %w", err)
	}
	defer admin.Close(context.WithoutCancel(ctx))
	if last := s.remembered.Issuer; last != "" && last != s.issuer {
		if err := identity.MoveIssuer(ctx, admin, last, s.issuer); err != nil {
			return fmt.Errorf("moving people to the provider's new address: %w", err)
		}
	}
	var people []identity.Provisioned
	for _, c := range cast {
		if len(c.member) > 0 {
			people = append(people, identity.Provisioned{Issuer: s.issuer, Subject: c.subject, Email: c.email, Name: c.name, Organizations: c.member})
		}
	}
	if err := identity.Provision(ctx, admin, organizations, people); err != nil {
		return err
	}
	for org := range organizations { // so that a directory may announce people of this provider, and of no other
		if err := identity.Bind(ctx, admin, org, s.issuer); err != nil {
			return err
		}
	}
	return nil
}

// age runs the application's ExampleAge, without triggers: the trail would otherwise record nobody's changes, and refuse them.
func (s *system) age(ctx context.Context) error {
	admin, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	return admin.PgConn().Exec(ctx, "begin; set local session_replication_role = replica;"+s.app.ExampleAge+";commit").Close()
}

// signIn opens a short session for each person in each organization, as if the provider had said so: it is our provider. A
// member whom somebody has stopped stays stopped, and is left out.
func (s *system) signIn(ctx context.Context, ids *identity.Service) (people []redoubt.Person, end func(), err error) {
	var tokens []string
	end = func() {
		for _, t := range tokens {
			if err := ids.EndSession(context.WithoutCancel(ctx), t); err != nil {
				slog.Warn("ending a session of setting up", "cause", err)
			}
		}
	}
	for _, c := range cast {
		for _, org := range c.member {
			said := signon.Claims{Issuer: s.issuer, Subject: c.subject, Email: c.email, Name: c.name, Groups: c.groups(), AuthTime: time.Now()}
			token, who, err := ids.InsecureSignIn(ctx, said, org)
			var refusal *layer.Refusal
			if errors.As(err, &refusal) && refusal.Reason == layer.NotFound {
				continue
			}
			if err != nil {
				end()
				return nil, nil, fmt.Errorf("signing %s in: %w", c.email, err)
			}
			tokens = append(tokens, token)
			people = append(people, redoubt.Person{Name: c.name, Email: c.email, Organization: redoubt.Organization{ID: org, Name: organizations[org]}, Principal: who})
		}
	}
	return people, end, nil
}

// describe adds a person to what up tells, with an API key that lives.
func (s *system) describe(ctx context.Context, db *rls.DB, ids *identity.Service, p redoubt.Person) error {
	at := p.Email + " " + p.Organization.Name
	key := s.remembered.Keys[at]
	if key == "" || !ids.KeyLives(ctx, key) {
		var err error
		if key, err = s.newKey(ctx, db, ids, p.Principal); err != nil {
			return err
		}
		s.remembered.Keys[at] = key
	}
	role := "member"
	if p.Principal.Administrator() {
		role = "administrator"
	}
	s.people = append(s.people, devPerson{p.Email, p.Name, p.Organization.Name, role, key})
	return nil
}

const devKeyLife = 90 * 24 * time.Hour

func (s *system) newKey(ctx context.Context, db *rls.DB, ids *identity.Service, who layer.Principal) (string, error) {
	scopes := slices.DeleteFunc(append(slices.Clone(s.app.Scopes.Member), s.app.Scopes.Administrator...), func(scope string) bool { return !who.Has(scope) })
	return action.Do(ctx, db, who, "keys:write", func(tx *action.Tx) (string, error) {
		secret, _, err := ids.AddKey(tx.Tx, who, "Development", scopes, devKeyLife)
		return secret, err
	})
}

// ready tells where everything is.
func (t *teller) ready(s *system) {
	slices.SortStableFunc(s.people, func(a, b devPerson) int { return cmp.Compare(a.Organization, b.Organization) })
	if t.json {
		t.event(map[string]any{"event": "ready", "url": s.origin, "http_url": s.plainURL, "issuer": s.issuer, "mail": s.mailbox, "ca_file": s.keys.CAFile, "app_pid": s.child.pid(),
			"seconds": seconds(time.Since(t.begun)), "people": s.people, "strangers": []string{"mallory@outside.test"},
			"warning": "development profile: anyone can become anyone, and API keys are shown"})
		return
	}
	fmt.Fprintf(t.out, "\n  Open  %s   (ready in %.1f s)\n\n", t.paint("1;36", s.origin), time.Since(t.begun).Seconds())
	for _, p := range s.people {
		fmt.Fprintf(t.out, "  %-20s %-8s %-14s %s\n", p.Email, p.Organization, p.Role, t.paint("2", p.APIKey))
	}
	fmt.Fprintf(t.out, "  %-20s %-8s %s\n\n", "mallory@outside.test", "nowhere", "is known to the provider, and refused here")
	fmt.Fprintf(t.out, "  The keys are for development. Try one:\n")
	fmt.Fprintf(t.out, "    curl --cacert %s -H 'Authorization: Bearer %s' %s/api/v1/orders\n\n", s.keys.CAFile, s.people[0].APIKey, s.origin)
	fmt.Fprintf(t.out, "  Mail that it sends is at %s\n", s.mailbox)
	fmt.Fprintf(t.out, "  A browser warns about the certificate until you run  redoubt trust\n")
	fmt.Fprintf(t.out, "  Logs are in %s. Ctrl-C ends everything.\n\n", s.dir)
}
