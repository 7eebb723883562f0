// Package attack holds what is tried on a disposable copy, one attack in each file, named by what is stolen. Each is a small program against
// the public surface: HTTP, a link to the edge, SQL as a role whose password was captured, a file, a page in a real browser. Whether it has
// done harm is seen by an oracle that attackers do not have: the copy's superuser looks at the rows, a text that exists nowhere else turns up in an
// answer, a script has run. A status proves nothing (SYSTEM G5).
//
// The victim is Acme. Attackers are people of Globex, strangers, or members of Acme where it is about roles. What an attack needs to be there, a
// post or an order, it makes itself in the victim's name, so that attacks on one copy do not meddle with each other.
package attack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/drill/target"
)

// An Attack is a small program against a copy. It is given nothing that an attacker could not have, but its eyes: whether it did harm
// is read from the copy's database, its files or a real browser, never from a status.
type Attack struct {
	Name   string // what is stolen, in a few words joined by hyphens, as the file is called: "another-organizations-order"
	Threat string // its number in the study of attacks, "T01"; "" for one that is not in it
	Group  string // of the picture: "tenants", "people", "perimeter", "browser", "input", "files", "money", "database", "trail"
	Title  string // a sentence without its full stop: "Dave of Globex reads an order of Acme by its id"

	// Expect names the units that are expected to stop it alone, in their order; the drill says where it finds otherwise.
	Expect []string
	// Honest is why one failure suffices, for an attack whose effective depth may be 1; "" for all others.
	Honest string

	Browser  bool // it needs one
	Destroys bool // what it leaves may stand in the way of others: it is given a copy of its own

	// Run attacks, and reports whether harm was done. An error says that the attack could not be carried out, which is neither harm nor a
	// stop; what the copy refuses is no error.
	Run func(ctx context.Context, s *Scene) (harm bool, err error)
}

// A Scene is where one attack takes place: a running copy, a source of chance, and, for those that need one, a browser.
type Scene struct {
	*target.Copy
	Rand *rand.Rand // seeded: the same in every configuration
	// Tab opens a tab in which nobody has ever been, in a real browser that believes the copy's authority; it is closed with the attack.
	Tab func(ctx context.Context) (context.Context, error)

	steps []Step
}

// A Step is one thing that an attack did, for the report.
type Step struct {
	Who    string `json:"who"`    // "dave", or what it was done as: "redoubt_app"
	Did    string `json:"did"`    // "GET /api/v1/orders/…"
	Answer string `json:"answer"` // "404 not-found rls"
}

// maxSteps bounds what is kept of one attack.
const maxSteps = 40

// Note keeps a step for the report. A client's requests are kept by themselves.
func (s *Scene) Note(who, did, answer string) {
	if len(s.steps) < maxSteps {
		s.steps = append(s.steps, Step{who, short(did), short(answer)})
	}
}

// Steps are what was done so far.
func (s *Scene) Steps() []Step { return s.steps }

func short(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// Canary is a text that is nowhere else: where it is found, what held it has leaked.
func (s *Scene) Canary() string { return fmt.Sprintf("canary%016x", s.Rand.Uint64()) }

// SignIn signs somebody in, as a browser does, from the office's network: "bob" is bob@acme.test; "erin" is of both organizations.
func (s *Scene) SignIn(ctx context.Context, who string) (*target.Client, error) {
	c := s.client(who, target.Inside)
	return c, c.SignIn(ctx, who)
}

// Stranger is somebody who is not signed in, in the office's network or outside of it.
func (s *Scene) Stranger(from string) *target.Client { return s.client("a stranger", from) }

// Program is a program with somebody's API key; see target.Copy.Key.
func (s *Scene) Program(who string) *target.Client {
	c := s.client(who+"'s key", target.Inside)
	c.Bearer = s.Key(who)
	return c
}

func (s *Scene) client(who, from string) *target.Client {
	c := s.Copy.Client(from)
	c.Note = func(did, answer string) { s.Note(who, did, answer) }
	return c
}

// Seen asks the copy's superuser a question that is answered by yes or no: the eyes of an attack, not its hands.
func (s *Scene) Seen(ctx context.Context, question string, args ...any) (yes bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.Admin().QueryRow(ctx, question, args...).Scan(&yes); err != nil {
		return false, fmt.Errorf("looking at what was done: %w", err)
	}
	return yes, nil
}
