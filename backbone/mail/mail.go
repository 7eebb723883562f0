// Package mail sends mail to people: an invitation, a notice. It exists so that an application has one narrow way to do so, which cannot be
// talked into sending to somebody else, adding headers or speaking in the clear. A message is a few texts; everything else about it is
// written here.
//
// It submits to one server (RFC 6409) and believes nothing that the server says but its reply codes, of which it reads a bounded number
// of bytes for a bounded time. Mail is no proof of anything: what a link in it may do is for its receiver to decide.
package mail

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Sender sends mail. Send returns once a server has taken the message or it is clear that none will.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// A Message is a mail to one person, in text and, optionally, the same in HTML. HTML must be a complete document from a template that
// escapes; it is sent as it is.
type Message struct {
	To      string // one address, without a name
	Subject string
	Text    string
	HTML    string // empty for a mail of text alone
}

// The bounds of a message.
const (
	maxSubject = 200 // characters
	maxText    = 64 << 10
	maxHTML    = 256 << 10
	maxAddress = 254 // RFC 5321 section 4.5.3.1.3
)

// ErrMessage is what every fault of a message wraps: it would be refused again.
var ErrMessage = errors.New("the message cannot be sent as it is")

// check refuses what a header or a command of SMTP could be made of.
func (m Message) check() error {
	switch {
	case !plainAddress(m.To):
		return fmt.Errorf("%w: its address is none", ErrMessage)
	case m.Subject == "" || utf8.RuneCountInString(m.Subject) > maxSubject || !utf8.ValidString(m.Subject) || strings.ContainsFunc(m.Subject, unseen):
		return fmt.Errorf("%w: its subject is empty, too long, or has characters that cannot be seen", ErrMessage)
	case m.Text == "" || len(m.Text) > maxText || len(m.HTML) > maxHTML || !utf8.ValidString(m.Text) || !utf8.ValidString(m.HTML):
		return fmt.Errorf("%w: its text is empty, too long, or no UTF-8", ErrMessage)
	}
	return nil
}

func unseen(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }

// plainAddress admits one ASCII address without a name, comment, quotes or anything else that two readers understand differently.
func plainAddress(s string) bool {
	if s == "" || len(s) > maxAddress || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`()<>[]:;,\"`, r) }) {
		return false
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}

// compose writes the message as it travels (RFC 5322). Every header is ours or is encoded (RFC 2047); bodies are quoted-printable,
// so that no line is too long and none is a header.
func compose(from mail.Address, m Message, now time.Time) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	var out bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&out, "%s: %s\r\n", name, value) }
	header("From", from.String())
	header("To", "<"+m.To+">")
	header("Subject", mime.QEncoding.Encode("utf-8", m.Subject))
	header("Date", now.UTC().Format(time.RFC1123Z))
	header("Message-ID", "<"+rand.Text()+"@"+domain+">")
	header("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notice answers it
	header("MIME-Version", "1.0")
	if m.HTML == "" {
		header("Content-Type", "text/plain; charset=utf-8")
		header("Content-Transfer-Encoding", "quoted-printable")
		out.WriteString("\r\n")
		err := quote(&out, m.Text)
		return out.Bytes(), err
	}
	parts := multipart.NewWriter(&out)
	header("Content-Type", `multipart/alternative; boundary="`+parts.Boundary()+`"`)
	out.WriteString("\r\n")
	for _, part := range []struct{ kind, text string }{{"text/plain", m.Text}, {"text/html", m.HTML}} { // the best last: RFC 2046 section 5.1.4
		w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {part.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
		if err != nil {
			return nil, err
		}
		if err := quote(w, part.text); err != nil {
			return nil, err
		}
	}
	err := parts.Close()
	return out.Bytes(), err
}

func quote(w interface{ Write([]byte) (int, error) }, text string) error {
	q := quotedprintable.NewWriter(w)
	if _, err := q.Write([]byte(text)); err != nil {
		return err
	}
	return q.Close()
}
