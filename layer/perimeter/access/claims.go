package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// claims are what a provider says of a person.
type claims map[string]json.RawMessage

// read makes a SignOn of a verified ID token and, where that leaves out what is needed, of userinfo, which is about the same person or
// about nobody (OpenID Connect Core 1.0 section 5.3.2).
func (g *Guard) read(ctx context.Context, p *provider, found *discovered, id *oidc.IDToken, token *oauth2.Token) (who assertion.SignOn, psid string, err error) {
	var said claims
	if err := id.Claims(&said); err != nil {
		return who, "", err
	}
	if found.op.UserInfoEndpoint() != "" && said.lacks(p) {
		more, err := found.op.UserInfo(p.context(ctx), oauth2.StaticTokenSource(token))
		if err != nil {
			return who, "", fmt.Errorf("asking provider %s about the person: %w", p.Name, err)
		}
		if more.Subject != id.Subject {
			return who, "", errors.New("userinfo is about somebody else")
		}
		var also claims
		if err := more.Claims(&also); err != nil {
			return who, "", err
		}
		said.add(also)
	}
	who = assertion.SignOn{By: assertion.ByProvider, Subject: id.Subject, Provider: p.Name, Email: said.email(), At: said.moment("auth_time")}
	who.Groups, err = said.groups(p.GroupsClaim)
	return who, said.text("sid"), err
}

func (c claims) lacks(p *provider) bool {
	return c["email"] == nil || p.GroupsClaim != "" && c[p.GroupsClaim] == nil
}

// add takes what is not there yet: the ID token is signed, and has the last word. An address and whether it is verified go together.
func (c claims) add(more claims) {
	if c["email"] != nil {
		delete(more, "email_verified")
	} else {
		delete(c, "email_verified")
	}
	for name, value := range more {
		if c[name] == nil {
			c[name] = value
		}
	}
}

func (c claims) text(name string) (s string) {
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

func (c claims) moment(name string) time.Time {
	var seconds float64
	if json.Unmarshal(c[name], &seconds) != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// email is the person's address if the provider says that it has verified it, and nothing otherwise: anybody can claim any address.
// Some providers say it as text.
func (c claims) email() string {
	if v := strings.TrimSpace(string(c["email_verified"])); v != "true" && v != `"true"` {
		return ""
	}
	address := c.text("email")
	if len(address) > maxAddress || strings.Count(address, "@") != 1 || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return ""
	}
	return address
}

// groups are the person's. A claim that is there in another form, or that the provider keeps elsewhere, is refused: who knows which
// groups are missing, and whom a policy shuts out?
func (c claims) groups(name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	raw, ok := c[name]
	if !ok {
		var elsewhere map[string]string
		if json.Unmarshal(c["_claim_names"], &elsewhere) == nil && elsewhere[name] != "" { // OpenID Connect Core 1.0 section 5.6.2
			return nil, errors.New("the provider keeps the person's groups elsewhere, since there are so many: have it send the groups alone that policies name")
		}
		return nil, nil
	}
	var many []string
	if json.Unmarshal(raw, &many) == nil {
		return many, nil
	}
	var single string
	if err := json.Unmarshal(raw, &single); err != nil {
		return nil, fmt.Errorf("the claim %s is no list of groups", name)
	}
	return []string{single}, nil
}
