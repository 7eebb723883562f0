package signon

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The bounds of what a provider may say about a person.
const (
	maxSubject = 255 // OpenID Connect Core 1.0 section 2
	maxEmail   = 254 // RFC 5321 section 4.5.3.1.3
	maxName    = 200 // in characters; a longer name is cut
	maxGroups  = 200
	maxGroup   = 255
)

// Claims say who has signed in, as the provider says. Issuer and Subject together are the person (SYSTEM I2); an e-mail address
// is a way to reach them, and never a key. Groups are those of this moment (SYSTEM I3).
type Claims struct {
	Issuer        string
	Subject       string
	Email         string // without control characters; empty if the provider does not say
	EmailVerified bool
	Name          string // without control characters and invisible marks; empty if the provider does not say
	Groups        []string
	AuthTime      time.Time // when the person proved who they are; zero if the provider does not say
	ACR           string
	AMR           []string
	SessionID     string // the provider's sid, by which it names the session when it ends; may be empty
	IDToken       string // for LogoutURL; a secret of the person. A refresh need not give a new one
	// RefreshToken is for Refresh, once. It is a secret, to be kept where the database cannot use it, and empty if the provider gave
	// none or Config.Refresh did not ask for one.
	RefreshToken  string
	AccessExpires time.Time // when the provider would want to be asked again; zero if it does not say
}

// Format implements fmt.Formatter, so that neither the token nor the person ends up in a log by accident.
func (Claims) Format(f fmt.State, _ rune) { fmt.Fprint(f, "signon.Claims") }

// LogValue implements slog.LogValuer.
func (Claims) LogValue() slog.Value { return slog.StringValue("signon.Claims") }

// claims reads what is said about the person; m.err tells if something was wrong with it.
func (p *Provider) claims(m *members) Claims {
	c := p.contact(m)
	c.Issuer = p.issuer
	c.Subject = m.text(p.cfg.SubjectClaim, maxSubject, ErrSubject)
	c.AuthTime = m.instant("auth_time", ErrAuthTime)
	c.ACR = m.text("acr", 255, fmt.Errorf("%w: acr", ErrMalformed))
	c.AMR = m.texts("amr", 20, 64, fmt.Errorf("%w: amr", ErrMalformed))
	c.SessionID = m.text("sid", 255, fmt.Errorf("%w: sid", ErrMalformed))
	if c.Subject == "" || m.text("sub", maxSubject, ErrSubject) == "" {
		m.fail(ErrSubject)
	}
	return c
}

// contact is what an ID token and the userinfo endpoint both may say.
func (p *Provider) contact(m *members) Claims {
	c := Claims{Email: m.email(p.cfg.EmailClaim), Name: m.name(p.cfg.NameClaim), Groups: m.texts(p.cfg.GroupsClaim, maxGroups, maxGroup, ErrGroups)}
	c.EmailVerified = m.flag(p.cfg.EmailVerifiedClaim) && c.Email != ""
	return c
}

// email refuses an address with control characters or spaces inside rather than clean it, because the cleaned one is another
// person's address.
func (m *members) email(claim string) string {
	var s string
	m.read(claim, &s, ErrEmail)
	s = strings.TrimSpace(s)
	if len(s) > maxEmail || !printable(s) || strings.ContainsFunc(s, unicode.IsSpace) {
		m.fail(ErrEmail)
	}
	return s
}

// name drops what cannot be seen, and what turns the direction of the text around it, and cuts the rest.
func (m *members) name(claim string) string {
	var s string
	m.read(claim, &s, fmt.Errorf("%w: name", ErrMalformed))
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, s)
	if characters := []rune(s); len(characters) > maxName {
		s = string(characters[:maxName])
	}
	return strings.Join(strings.Fields(s), " ")
}

// printable reports whether s is valid UTF-8 of visible characters and spaces.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) })
}
