package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

var (
	errForeign = refusal(layer.Forbidden, "That form was not sent from a page of this server, or it lay open for too long. Open the page again.")
	errForm    = refusal(layer.Malformed, "That form cannot be read.")
)

// tokenName is the field of a form that shows that the page was ours.
const tokenName = "_token"

// A formToken is sealed into each form; the browser has the other half as a cookie. Another site can make a browser send a form, but
// neither read our pages nor plant that cookie.
type formToken struct {
	Half  string    `json:"half"`
	Until time.Time `json:"until"`
}

// token makes a token for a form on the page that answers x.
func (g *Guard) token(x *visit) (string, error) {
	half := x.own[formCookie]
	if len(half) != len(rand.Text()) {
		half = rand.Text()
		setCookie(x.w, formCookie, half, formLife)
	}
	content, err := json.Marshal(formToken{half, g.now().Add(formLife)})
	if err != nil {
		return "", err
	}
	return g.box.seal(forForm, x.at.host, content)
}

// form reads a form that a page of ours has sent, or says why it is none.
func (g *Guard) form(x *visit) (url.Values, *layer.Refusal) {
	if !x.sameOrigin() {
		return nil, errForeign
	}
	form, err := x.body()
	if err != nil {
		return nil, because(errForm, err)
	}
	var t formToken
	content, err := g.box.open(forForm, x.at.host, one(form, tokenName))
	if err == nil {
		err = json.Unmarshal(content, &t)
	}
	switch {
	case err != nil && !errors.Is(err, errSealed):
		return nil, because(errBusy, err)
	case err != nil || t.Half == "" || subtle.ConstantTimeCompare([]byte(t.Half), []byte(x.own[formCookie])) != 1 || !g.now().Before(t.Until):
		return nil, errForeign
	}
	return form, nil
}

// sameOrigin asks what a browser says of where a request comes from, which no page can change. One who says nothing is no browser of
// these years, and signs on nowhere here.
func (x *visit) sameOrigin() bool {
	site, origin := x.r.Header["Sec-Fetch-Site"], x.r.Header["Origin"]
	if len(site) > 1 || len(origin) > 1 || len(site)+len(origin) == 0 {
		return false
	}
	return (len(site) == 0 || site[0] == "same-origin") && (len(origin) == 0 || origin[0] == x.at.Origin)
}

func (x *visit) body() (url.Values, error) {
	kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errors.New("the body is no form")
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxForm)
	if err := x.r.ParseForm(); err != nil {
		return nil, err
	}
	return x.r.PostForm, nil // what the address says is no part of it
}

// one is the value of a field that is there once.
func one(v url.Values, name string) string {
	if all := v[name]; len(all) == 1 {
		return all[0]
	}
	return ""
}
