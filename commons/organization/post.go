package organization

import (
	"bytes"
	"context"
	_ "embed"
	html "html/template"
	"log/slog"
	"strings"
	text "text/template"
	"unicode"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/mail"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

//go:embed invitation.txt
var asText string

//go:embed invitation.html
var asHTML string

// post writes the organization's mail.
type post struct {
	sender mail.Sender // nil where no mail server is configured
	origin string
	text   *text.Template
	html   *html.Template
}

func newPost(p redoubt.Parts) (*post, error) {
	t, err := text.New("invitation").Parse(asText)
	if err != nil {
		return nil, err
	}
	h, err := html.New("invitation").Parse(asHTML)
	if err != nil {
		return nil, err
	}
	return &post{p.Mail, p.Origin, t, h}, nil
}

func (p *post) link(token string) string {
	return p.origin + strings.Replace(redoubt.AcceptPath, "{token}", token, 1)
}

// invite reports whether a server has taken the mail.
func (p *post) invite(ctx context.Context, to identity.Address, link string, offer identity.Offer) bool {
	if p.sender == nil {
		return false
	}
	offer.Organization, offer.Inviter = oneLine(offer.Organization), oneLine(offer.Inviter)
	data := struct {
		identity.Offer
		Link string
	}{offer, link}
	var asText, asHTML bytes.Buffer
	if err := p.text.Execute(&asText, data); err != nil {
		slog.ErrorContext(ctx, "writing an invitation", "cause", err)
		return false
	}
	if err := p.html.Execute(&asHTML, data); err != nil {
		slog.ErrorContext(ctx, "writing an invitation", "cause", err)
		return false
	}
	err := p.sender.Send(ctx, mail.Message{To: string(to), Subject: "Invitation to " + offer.Organization, Text: asText.String(), HTML: asHTML.String()})
	if err != nil {
		slog.WarnContext(ctx, "sending an invitation", "cause", err)
	}
	return err == nil
}

// oneLine makes a name that somebody has chosen fit to stand in a subject and in a text: neither lines nor addresses of its own, which
// a mail program would make a link of. Somebody could otherwise name their organization so that our mail sends people elsewhere.
func oneLine(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r):
			return -1
		case strings.ContainsRune("/\\@:", r):
			return '·'
		case r == '.':
			return '\u2024' // looks the same, and joins no host's name
		}
		return r
	}, name)
	return strings.Join(strings.Fields(name), " ")
}
