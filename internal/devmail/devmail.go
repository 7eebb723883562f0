// Package devmail catches the mail of a development system instead of sending it, and shows it to whoever sits at this machine. It exists
// so that invitations can be tried without a mail server, and so that no test ever writes to a person.
//
// It is for loopback: it speaks SMTP without TLS and shows everything to everyone who can reach it. `redoubt up` runs it in its own
// process, on ports of its own, beside the development sign-on; the application's process holds no part of it, and only a
// list in internal/tidy lets package command import it. What it has caught is in memory, and ends with it.
package devmail

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"
)

// The bounds of what is caught.
const (
	kept        = 200
	maxMessage  = 1 << 20
	maxLine     = 4096
	maxCommands = 100
	maxTalks    = 16
	patience    = 30 * time.Second
)

// A Message is one that was caught, as it is shown: the text, never the HTML.
type Message struct {
	Number  int // counted from 1
	At      time.Time
	From    string
	To      string
	Subject string
	Text    string
}

// A Catcher keeps the last messages. It may be used concurrently; the zero Catcher is ready.
type Catcher struct {
	mu       sync.Mutex
	last     int
	messages []Message // the oldest first
}

// Messages returns what was caught, the newest first.
func (c *Catcher) Messages() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.messages)
	slices.Reverse(all)
	return all
}

func (c *Catcher) keep(m Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	m.Number, m.At = c.last, time.Now()
	c.messages = append(c.messages, m)
	if len(c.messages) > kept {
		c.messages = slices.Delete(c.messages, 0, len(c.messages)-kept)
	}
}

// Serve takes mail from l until l is closed.
func (c *Catcher) Serve(l net.Listener) error {
	talks := make(chan struct{}, maxTalks)
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		talks <- struct{}{}
		go func() {
			defer func() { conn.Close(); <-talks }()
			conn.SetDeadline(time.Now().Add(patience))
			c.talk(conn)
		}()
	}
}

// talk is as much of SMTP (RFC 5321) as a sender needs.
func (c *Catcher) talk(conn io.ReadWriter) {
	in := bufio.NewReaderSize(conn, maxLine)
	say := func(line string) bool { _, err := io.WriteString(conn, line+"\r\n"); return err == nil }
	to := ""
	for n := 0; n < maxCommands; n++ {
		if n == 0 && !say("220 devmail") {
			return
		}
		raw, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		line := strings.TrimSpace(string(raw))
		verb, rest, _ := strings.Cut(line, " ")
		answer := "250 ok"
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO", "MAIL", "NOOP":
		case "RSET":
			to = ""
		case "RCPT":
			to = strings.Trim(rest[strings.Index(rest, ":")+1:], "<> ")
		case "DATA":
			if answer = c.data(in, to, say); answer == "" {
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			answer = "502 not spoken here"
		}
		if !say(answer) {
			return
		}
	}
}

func (c *Catcher) data(in *bufio.Reader, to string, say func(string) bool) (answer string) {
	if to == "" {
		return "503 to whom?"
	}
	if !say("354 go on") {
		return ""
	}
	var text strings.Builder
	for {
		raw, err := in.ReadSlice('\n')
		if err != nil || text.Len()+len(raw) > maxMessage {
			return "" // a line or a message that is too long ends the conversation
		}
		line := string(raw)
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
	m, err := read(text.String())
	if err != nil {
		return "554 not a message"
	}
	m.To = to
	c.keep(m)
	return "250 caught"
}

// read finds what to show of a message.
func read(raw string) (Message, error) {
	parsed, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		return Message{}, err
	}
	var m Message
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		return Message{}, err
	}
	m.From = parsed.Header.Get("From")
	m.Text, err = textOf(parsed.Header.Get("Content-Type"), parsed.Header.Get("Content-Transfer-Encoding"), parsed.Body)
	return m, err
}

var errNoText = errors.New("a message without text")

// textOf is a body that is text, or the first part that is.
func textOf(kind, encoding string, body io.Reader) (string, error) {
	kind, params, err := mime.ParseMediaType(kind)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for range 10 {
			part, err := parts.NextRawPart()
			if err != nil {
				return "", errNoText
			}
			if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
				return textOf("text/plain", part.Header.Get("Content-Transfer-Encoding"), part)
			}
		}
		return "", errNoText
	}
	if kind != "text/plain" {
		return "", errNoText
	}
	if strings.EqualFold(encoding, "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(io.LimitReader(body, maxMessage))
	return strings.ToValidUTF8(string(text), "\ufffd"), err
}
