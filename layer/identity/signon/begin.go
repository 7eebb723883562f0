package signon

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// A Pending is a sign-in on its way. The caller seals it into a cookie of the browser that begins, and gives it back to Finish:
// that binds the answer to the browser. Its values are secrets, so it prints as its name alone.
type Pending struct {
	Provider  string    `json:"provider"` // a digest of whom the person was sent to, so that no other one's answer is taken
	State     string    `json:"state"`
	Nonce     string    `json:"nonce"`
	Verifier  string    `json:"verifier"`
	Begun     time.Time `json:"begun"`
	AuthAfter time.Time `json:"auth_after,omitzero"` // the person must have proved themselves since; zero if that was not asked
}

// Format implements fmt.Formatter.
func (Pending) Format(f fmt.State, _ rune) { fmt.Fprint(f, "signon.Pending") }

// LogValue implements slog.LogValuer.
func (Pending) LogValue() slog.Value { return slog.StringValue("signon.Pending") }

// BeginOptions ask the provider for more than a sign-in (SYSTEM I6). The zero value asks for nothing more.
type BeginOptions struct {
	// Prompt is "login", "none", "select_account" or "consent", or several with spaces; zero leaves it to the provider. The address
	// passes through the person's hands, who could take "login" out of it; so it also asks for an authentication from now on, which
	// Finish checks.
	Prompt string
	// MaxAge asks that the person has proved who they are within it. Finish refuses a token that does not say so, whatever became
	// of the question on its way. Zero means at any time; for "now" there is the prompt "login".
	MaxAge time.Duration
	// ACRValues ask for one of several levels of assurance, best first. They are a wish: whoever needs one reads Claims.ACR.
	ACRValues []string
	// LoginHint is who probably signs in, such as an e-mail address; zero means that the provider asks. It is a wish, too.
	LoginHint string
}

const maxHint = 255

func (o BeginOptions) has(prompt string) bool {
	return slices.Contains(strings.Fields(o.Prompt), prompt)
}

// params are what o adds to the address.
func (o BeginOptions) params(p map[string]string) {
	if o.Prompt != "" {
		p["prompt"] = o.Prompt
	}
	if o.has("login") {
		p["max_age"] = "0"
	} else if o.MaxAge > 0 {
		p["max_age"] = strconv.FormatInt(int64(o.MaxAge/time.Second), 10)
	}
	if len(o.ACRValues) > 0 {
		p["acr_values"] = strings.Join(o.ACRValues, " ")
	}
	if o.LoginHint != "" && len(o.LoginHint) <= maxHint && printable(o.LoginHint) {
		p["login_hint"] = o.LoginHint
	}
}

// Begin returns the address to send the browser to, and what Finish needs when it comes back.
func (p *Provider) Begin(ctx context.Context, options BeginOptions) (redirectURL string, pending Pending, err error) {
	ctx, cancel := asked(ctx)
	defer cancel()
	meta, err := p.metadata.get(ctx, metadataLife)
	if err != nil {
		return "", Pending{}, unavailable(err)
	}
	if p.cfg.Refresh && p.cfg.Consent && !options.has("none") && !options.has("consent") {
		options.Prompt = strings.TrimSpace(options.Prompt + " consent")
	}
	pending = Pending{Provider: p.digest(), State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Begun: p.now().UTC()}
	switch {
	case options.has("login"):
		pending.AuthAfter = pending.Begun
	case options.MaxAge > 0:
		pending.AuthAfter = pending.Begun.Add(-options.MaxAge)
	}
	extra := map[string]string{}
	for name, value := range p.cfg.Parameters {
		extra[name] = value
	}
	options.params(extra)
	params := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(pending.Verifier), oidc.Nonce(pending.Nonce)}
	for name, value := range extra {
		params = append(params, oauth2.SetAuthURLParam(name, value))
	}
	return meta.oauth.AuthCodeURL(pending.State, params...), pending, nil
}

// digest names this registration with this provider: another issuer, or another client of the same one, is another.
func (p *Provider) digest() string {
	sum := sha256.Sum256([]byte(p.issuer + "\x00" + p.cfg.ClientID))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// random is 256 bits that nobody can guess.
func random() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails: the program ends rather than go on without randomness
	return base64.RawURLEncoding.EncodeToString(b)
}
