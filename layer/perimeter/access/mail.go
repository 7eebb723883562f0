package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

const (
	maxAddress = 254 // RFC 5321 section 4.5.3.1.3, less the brackets
	maxLetters = 256 // mails that wait to be sent
	postmen    = 4
	mailTime   = 30 * time.Second
)

var (
	errAddress  = refusal(layer.Invalid, "That is not an e-mail address to which a link can be sent.")
	errMailbox  = refusal(layer.Unavailable, "No mail can be sent at the moment. Try again soon.")
	errLinkOver = refusal(layer.Invalid, "That link is over: it counts once, and for ten minutes. Ask for another.")
	errBrowser  = refusal(layer.Invalid, "That link counts in the browser alone in which it was asked for. Open it there, or ask for another here.")
)

// A letter is what somebody asked for. Whether it is sent is decided by whoever takes it out of the queue, so that the answer, and the
// time that it takes, are the same for every address.
type letter struct {
	to     string
	at     *application
	back   string
	nonce  string
	client netip.Addr
}

// A correspondent is a browser that has asked for a mail: its nonce binds the links to it. It is sealed into a cookie.
type correspondent struct {
	Nonce   string    `json:"nonce"`
	Address string    `json:"address"` // to be shown to them again
	Until   time.Time `json:"until"`
}

// A mailed link is an entry of a drawer by the digest of its secret.
type mailedLink struct {
	Address string    `json:"address"`
	Host    string    `json:"host"`
	Back    string    `json:"back"`
	Nonce   string    `json:"nonce"` // digest of the browser's
	Until   time.Time `json:"until"`
}

// askForMail takes the wish for a link (SYSTEM P4).
func (g *Guard) askForMail(x *visit) {
	form, why := g.form(x)
	if why != nil {
		x.refuse(why)
		return
	}
	address, ok := mailAddress(one(form, "email"))
	if !ok {
		x.refuse(errAddress)
		return
	}
	if wait, ok := g.mayAsk(x.of.Client, address); !ok {
		x.later(wait)
		return
	}
	c := g.correspondent(x)
	if c.Nonce == "" {
		c.Nonce = rand.Text()
	}
	c.Address, c.Until = address, g.now().Add(linkLife)
	if err := g.remember(x, c); err != nil {
		x.refuse(because(errBusy, err))
		return
	}
	select {
	case g.mail <- letter{address, x.at, backTo(one(form, "to")), c.Nonce, x.of.Client}:
		x.move(Reserved + "mail")
	default:
		g.log.Warn("mail refused", "cause", "too many letters wait")
		x.refuse(errMailbox)
	}
}

// mayAsk counts every wish, whoever it is for: a bound that held for some addresses alone would tell which.
func (g *Guard) mayAsk(client netip.Addr, address string) (wait time.Duration, ok bool) {
	now := g.now()
	if wait, ok = g.limits.client.allow(clientKey(client), now); !ok {
		return wait, false
	}
	if wait, ok = g.limits.address.allow(address, now); !ok {
		return wait, false
	}
	return g.limits.overall.allow("", now)
}

func (g *Guard) correspondent(x *visit) (c correspondent) {
	content, err := g.box.open(forMail, x.at.host, x.own[mailCookie])
	if err != nil || json.Unmarshal(content, &c) != nil || !g.now().Before(c.Until) {
		return correspondent{}
	}
	return c
}

func (g *Guard) remember(x *visit, c correspondent) error {
	content, err := json.Marshal(c)
	if err != nil {
		return err
	}
	sealed, err := g.box.seal(forMail, x.at.host, content)
	if err == nil {
		setCookie(x.w, mailCookie, sealed, linkLife)
	}
	return err
}

// mailed says that a link may be on its way. It knows no more than the browser does.
func (g *Guard) mailed(x *visit) {
	x.show(http.StatusOK, "mail", mailPage{Address: g.correspondent(x).Address, Minutes: int(linkLife.Minutes())})
}

// deliver sends letters until ctx ends.
func (g *Guard) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-g.mail:
			if err := g.send(ctx, l); err != nil {
				g.log.Error("sending a link", "application", l.at.Name, "cause", err)
			}
		}
	}
}

// send sends a link to whom it could let in, and nothing to everybody else.
func (g *Guard) send(ctx context.Context, l letter) error {
	if p := g.config.Policies(l.at.Name); p == nil || !p.Welcome(byMail(l.to), l.client) {
		g.log.Info("no link sent", "application", l.at.Name, "cause", "no policy lets the address in", "client", l.client)
		return nil
	}
	secret := rand.Text() + rand.Text() // 256 bits and more
	until := g.now().Add(linkLife)
	content, err := json.Marshal(mailedLink{l.to, l.at.host, l.back, sumOf(l.nonce), until})
	if err != nil {
		return err
	}
	if err := g.links.Create(sumOf(secret), content, time.Now().Add(linkLife)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	link := l.at.Origin + Reserved + "link?" + url.Values{"k": {secret}}.Encode()
	return g.config.Mail(ctx, l.to, "Sign in to "+l.at.Title, letterText(l.at.Title, link))
}

func letterText(title, link string) string {
	return fmt.Sprintf(`Somebody, we hope you, asked to sign in to %s.

Open this link in the browser where you asked, within %d minutes:

%s

It works once, and in that browser alone. If it was not you, delete this
mail: without the browser, the link is of no use to anybody.
`, title, int(linkLife.Minutes()), link)
}

func byMail(address string) assertion.SignOn {
	return assertion.SignOn{By: assertion.ByMail, Subject: address, Email: address}
}

func sumOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// openLink shows what a link does, and does nothing: machines that read mail open every link in it.
func (g *Guard) openLink(x *visit) {
	secret := one(x.r.URL.Query(), "k")
	l, why := g.link(x, secret)
	if why != nil {
		x.refuse(why)
		return
	}
	token, err := g.token(x)
	if err != nil {
		x.refuse(because(errBusy, err))
		return
	}
	x.show(http.StatusOK, "link", linkPage{Address: l.Address, Secret: secret, Token: token})
}

// link finds a link, and compares the browser before anything is used up.
func (g *Guard) link(x *visit, secret string) (l mailedLink, why *layer.Refusal) {
	if len(secret) != 2*len(rand.Text()) {
		return l, errLinkOver
	}
	content, err := g.links.Get(sumOf(secret))
	if errors.Is(err, state.ErrNone) {
		return l, errLinkOver
	}
	if err == nil {
		err = json.Unmarshal(content, &l)
	}
	if err != nil {
		return l, because(errBusy, err)
	}
	if l.Host != x.at.host || !g.now().Before(l.Until) {
		return l, errLinkOver
	}
	if subtle.ConstantTimeCompare([]byte(l.Nonce), []byte(sumOf(g.correspondent(x).Nonce))) != 1 {
		return l, errBrowser
	}
	return l, nil
}

// confirm signs on. Of all who confirm at once, one takes the link.
func (g *Guard) confirm(x *visit) {
	if wait, ok := g.limits.client.allow(clientKey(x.of.Client), g.now()); !ok {
		x.later(wait)
		return
	}
	form, why := g.form(x)
	if why != nil {
		x.refuse(why)
		return
	}
	secret := one(form, "k")
	l, why := g.link(x, secret)
	if why == nil {
		why = g.takeLink(secret)
	}
	if why == nil {
		why = g.enter(x, byMail(l.Address), "")
	}
	if why != nil {
		g.log.Info("link refused", "application", x.at.Name, "cause", why.Error())
		x.refuse(why)
		return
	}
	setCookie(x.w, mailCookie, "", 0)
	x.goOn(l.Back)
}

func (g *Guard) takeLink(secret string) *layer.Refusal {
	_, err := g.links.Take(sumOf(secret))
	if errors.Is(err, state.ErrNone) {
		return errLinkOver
	}
	if err != nil {
		return because(errBusy, err)
	}
	return nil
}

// mailAddress accepts the plain form of an address, in ASCII: no names, quotes, comments, lists or line ends, and so nothing that a
// mail's head could be changed with (RFC 5321 section 4.1.2, the dot-string). It is spelled in lower case, as it is then mailed to and
// asserted: whoever reads that mailbox is who signs on.
func mailAddress(s string) (address string, ok bool) {
	s = strings.ToLower(strings.Trim(s, " \t"))
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(s) > maxAddress || len(local) > 64 || !strings.Contains(domain, ".") {
		return "", false
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.Trim(atom, "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~") != "" {
			return "", false
		}
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return "", false
		}
	}
	return s, true
}
