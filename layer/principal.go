package layer

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

// A Principal is who asks, and for which organization. Only package identity makes one, from a credential it has verified,
// so a Principal in hand is proof that identity ran. It carries, unseen, the caller's own credential, which package rls
// presents to the database: the database believes the credential, not the Principal.
//
// The zero Principal is nobody, and every layer refuses it. A Principal is immutable and may be used concurrently.
type Principal struct {
	// Of an internal package's type, so that no conversion or literal can forge one; and behind a function, because no printer or
	// dumper looks into one: package fmt ignores our methods where a Principal is in a field that is not exported.
	facts func() *mint.Facts
}

func init() {
	mint.Principal = func(f mint.Facts) any {
		f.Scopes, f.Assurance = slices.Clone(f.Scopes), slices.Clone(f.Assurance)
		return Principal{func() *mint.Facts { return &f }}
	}
	mint.Credential = func(p any) string { return p.(Principal).get().Credential }
}

func (p Principal) get() mint.Facts {
	if p.facts == nil {
		return mint.Facts{}
	}
	return *p.facts()
}

// Nobody reports whether p is the zero Principal: a caller that has not been identified.
func (p Principal) Nobody() bool { return p.facts == nil }

// Organization is the organization for which p asks.
func (p Principal) Organization() OrgID { return OrgID(p.get().Organization) }

// Profile is p's membership of Organization.
func (p Principal) Profile() ProfileID { return ProfileID(p.get().Profile) }

// Person is the person behind p, the same in every organization.
func (p Principal) Person() PersonID { return PersonID(p.get().Person) }

// Interactive reports whether p is a person at a browser with a session, and not a program with an API key.
func (p Principal) Interactive() bool { return p.get().Kind == "session" }

// CredentialID names the session or API key that p uses, for lists and audit. It is not a secret.
func (p Principal) CredentialID() string { return p.get().ID }

// Administrator reports whether the identity provider says that p administers Organization (SYSTEM I3). It comes from claims
// authenticated with a key that the database does not hold.
func (p Principal) Administrator() bool { return p.get().Administrator }

// Role is p's role in Organization by the database's word: "owner", "admin", "member" or "guest"; empty for a credential that is no
// session. It is for showing: what p may do is for Has to say, and for the database.
func (p Principal) Role() string { return p.get().Role }

// Has reports whether p's credential allows scope, by the claims that identity verified. The database has its own opinion.
func (p Principal) Has(scope string) bool {
	return p.facts != nil && slices.Contains(p.facts().Scopes, scope)
}

// AuthTime is when the person last proved to the provider who they are. It is zero for an API key.
func (p Principal) AuthTime() time.Time { return p.get().AuthTime }

// Assured reports whether the person proved who they are at that level, such as "mfa": by the provider's acr, its amr, or the name
// that identity was configured to give them (SYSTEM I6). An API key is assured of nothing.
func (p Principal) Assured(level string) bool {
	return p.facts != nil && level != "" && slices.Contains(p.facts().Assurance, level)
}

// String names the caller without any secret.
func (p Principal) String() string {
	if p.Nobody() {
		return "nobody"
	}
	f := p.facts()
	return fmt.Sprintf("%s %s of %s", f.Kind, f.Profile, f.Organization)
}

// GoString, Format, LogValue and MarshalText keep the credential out of %#v, logs and JSON.
func (p Principal) GoString() string { return "layer.Principal(" + p.String() + ")" }

// Format implements fmt.Formatter: every verb prints String.
func (p Principal) Format(f fmt.State, _ rune) { fmt.Fprint(f, p.String()) }

// LogValue implements slog.LogValuer.
func (p Principal) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText implements encoding.TextMarshaler.
func (p Principal) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
