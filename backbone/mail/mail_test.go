package mail_test

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/backbone/mail"
)

var letter = mail.Message{To: "ann@example.test", Subject: "Ένα “invitation”", Text: "Hello Ann,\n.\nhttps://app.test/" + strings.Repeat("x", 200) + "\n", HTML: "<!doctype html><p>Hello Ann</p>"}

func TestAMessageArrivesAsItWasWritten(t *testing.T) {
	for _, s := range []*server{{}, {implicit: true}} {
		start(t, s)
		if err := s.sender(t, nil).Send(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
		if len(s.messages) != 1 || !s.secured {
			t.Fatalf("%d messages, over TLS %t", len(s.messages), s.secured)
		}
		m, err := netmail.ReadMessage(strings.NewReader(s.messages[0]))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || subject != letter.Subject || m.Header.Get("To") != "<ann@example.test>" || m.Header.Get("From") != `"Commons" <commons@app.test>` || m.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Errorf("the headers are %v", m.Header)
		}
		_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		parts := multipart.NewReader(m.Body, params["boundary"])
		for _, want := range []struct{ kind, text string }{{"text/plain; charset=utf-8", letter.Text}, {"text/html; charset=utf-8", letter.HTML}} {
			part, err := parts.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(quotedprintable.NewReader(part))
			if err != nil || part.Header.Get("Content-Type") != want.kind || strings.ReplaceAll(string(text), "\r\n", "\n") != want.text {
				t.Errorf("a part of %s says %q (%v), want %q", part.Header.Get("Content-Type"), text, err, want.text)
			}
		}
	}
}

// What is put together from names that others have chosen cannot become a header, a second receiver or a command.
func TestNothingIsInjected(t *testing.T) {
	for name, spoil := range map[string]func(*mail.Message){
		"a header in the subject":     func(m *mail.Message) { m.Subject = "Hi\r\nBcc: eve@example.test" },
		"a line feed alone":           func(m *mail.Message) { m.Subject = "Hi\nBcc: eve@example.test" },
		"a line separator":            func(m *mail.Message) { m.Subject = "Hi\u2028Bcc: eve@example.test" },
		"a subject that turns round":  func(m *mail.Message) { m.Subject = "Hi \u202eeve" },
		"no subject":                  func(m *mail.Message) { m.Subject = "" },
		"a long subject":              func(m *mail.Message) { m.Subject = strings.Repeat("x", 201) },
		"a subject that is no UTF-8":  func(m *mail.Message) { m.Subject = "\xff" },
		"a second address":            func(m *mail.Message) { m.To = "ann@example.test, eve@example.test" },
		"a command in the address":    func(m *mail.Message) { m.To = "ann@example.test>\r\nRCPT TO:<eve@example.test" },
		"a parameter of the command":  func(m *mail.Message) { m.To = "ann@example.test> NOTIFY=SUCCESS" },
		"a name":                      func(m *mail.Message) { m.To = "Ann <ann@example.test>" },
		"quotes":                      func(m *mail.Message) { m.To = `"ann@elsewhere.test"@example.test` },
		"a route":                     func(m *mail.Message) { m.To = "@elsewhere.test:ann@example.test" },
		"letters beyond ASCII":        func(m *mail.Message) { m.To = "\u0430nn@example.test" },
		"no address":                  func(m *mail.Message) { m.To = "" },
		"an address that is too long": func(m *mail.Message) { m.To = strings.Repeat("a", 250) + "@b.test" },
		"no text":                     func(m *mail.Message) { m.Text = "" },
		"a text that is too long":     func(m *mail.Message) { m.Text = strings.Repeat("x", 64<<10+1) },
		"HTML that is too long":       func(m *mail.Message) { m.HTML = strings.Repeat("x", 256<<10+1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, &server{})
			m := letter
			spoil(&m)
			if err := s.sender(t, nil).Send(t.Context(), m); !errors.Is(err, mail.ErrMessage) {
				t.Errorf("got %v", err)
			}
			if s.asked != 0 {
				t.Error("the server was asked")
			}
		})
	}
	s := start(t, &server{})
	m := letter
	m.Text = "first\r\n.\r\nMAIL FROM:<eve@example.test>\r\n" // stays text
	if err := s.sender(t, nil).Send(t.Context(), m); err != nil || len(s.messages) != 1 {
		t.Errorf("a text with a dot alone: %d messages, %v", len(s.messages), err)
	}
}

func TestAServerThatDoesNotTake(t *testing.T) {
	for _, c := range []struct {
		name     string
		server   *server
		change   func(*mail.Config)
		attempts int
		taken    bool
	}{
		{name: "busy twice", server: &server{replies: map[string][]string{"MAIL": {"451 later", "451 later"}}}, attempts: 3, taken: true},
		{name: "busy for good", server: &server{replies: map[string][]string{"MAIL": {"451 later", "451 later", "451 later", "451 later"}}}, attempts: 3},
		{name: "greylisting the receiver", server: &server{replies: map[string][]string{"RCPT": {"450 later"}}}, attempts: 2, taken: true},
		{name: "out of room at the end", server: &server{replies: map[string][]string{".": {"452 full"}}}, attempts: 2, taken: true},
		{name: "refusing the receiver", server: &server{replies: map[string][]string{"RCPT": {"550 no such <ann@example.test>"}}}, attempts: 1},
		{name: "refusing the message", server: &server{replies: map[string][]string{".": {"554 spam"}}}, attempts: 1},
		{name: "refusing to talk", server: &server{replies: map[string][]string{"CONNECT": {"554 no"}}}, attempts: 1},
		{name: "hanging up at once", server: &server{replies: map[string][]string{"CONNECT": {"drop"}}}, attempts: 2, taken: true},
		{name: "hanging up in between", server: &server{replies: map[string][]string{"DATA": {"drop", "drop"}}}, attempts: 3, taken: true},
		{name: "hanging up with the message in hand", server: &server{replies: map[string][]string{".": {"drop"}}}, attempts: 1},
		{name: "silent", server: &server{replies: map[string][]string{"RCPT": {"stall"}}}, change: func(c *mail.Config) { c.Timeout = 300 * time.Millisecond }, attempts: 1},
		{name: "silent from the start", server: &server{replies: map[string][]string{"CONNECT": {"stall"}}}, change: func(c *mail.Config) { c.Timeout = 300 * time.Millisecond }, attempts: 1},
		{name: "without TLS", server: &server{plain: true}, attempts: 1},
		{name: "refusing TLS that it offers", server: &server{replies: map[string][]string{"STARTTLS": {"454 no", "454 no", "454 no"}}}, attempts: 3},
		{name: "with a certificate of nobody's", server: &server{}, change: func(c *mail.Config) { c.TLS = nil }, attempts: 1},
		{name: "that never stops talking", server: &server{replies: map[string][]string{"EHLO": {"250-" + strings.Repeat("x", 70<<10), "250-" + strings.Repeat("x", 70<<10), "250-" + strings.Repeat("x", 70<<10)}, "HELO": {"drop", "drop", "drop"}}}, attempts: 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			start(t, c.server)
			begun := time.Now()
			err := c.server.sender(t, c.change).Send(t.Context(), letter)
			c.server.mu.Lock()
			defer c.server.mu.Unlock()
			if (err == nil) != c.taken || c.server.asked != c.attempts || time.Since(begun) > 3*time.Second {
				t.Errorf("got %v after %d attempts and %v, want taken %t after %d", err, c.server.asked, time.Since(begun), c.taken, c.attempts)
			}
			if err != nil && strings.Contains(err.Error(), "ann@") {
				t.Errorf("the error quotes the address: %v", err)
			}
			if c.server.plain && slices.Contains(c.server.verbs, "MAIL") {
				t.Error("something was said in the clear")
			}
		})
	}
}

func TestACallerWhoGivesUpIsNotHeld(t *testing.T) {
	s := start(t, &server{replies: map[string][]string{"MAIL": {"stall"}}})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := s.sender(t, nil).Send(ctx, letter); err == nil || time.Since(begun) > time.Second {
		t.Errorf("got %v after %v", err, time.Since(begun))
	}
}

func TestAPasswordIsSaidOverTLSAlone(t *testing.T) {
	s := start(t, &server{})
	m := s.sender(t, func(c *mail.Config) { c.Username, c.Password = "commons", "secret" })
	if err := m.Send(t.Context(), letter); err != nil || !slices.Contains(s.verbs, "AUTH") {
		t.Errorf("got %v after %v", err, s.verbs)
	}
	bare := start(t, &server{plain: true})
	m = bare.sender(t, func(c *mail.Config) { c.Username, c.Password = "commons", "secret" })
	if err := m.Send(t.Context(), letter); !errors.Is(err, mail.ErrNoTLS) || slices.Contains(bare.verbs, "AUTH") {
		t.Errorf("got %v after %v", err, bare.verbs)
	}
}

func TestLoopbackMayGoWithoutTLS(t *testing.T) {
	s := start(t, &server{plain: true})
	m := s.sender(t, func(c *mail.Config) { c.InsecureLoopback, c.TLS = true, nil })
	if err := m.Send(t.Context(), letter); err != nil || len(s.messages) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	for name, cfg := range map[string]mail.Config{
		"Address":          {From: "a@b.test"},
		"From":             {Address: "mail.test:587", From: "somebody"},
		"Timeout":          {Address: "mail.test:587", From: "a@b.test", Timeout: 2 * time.Minute},
		"Password":         {Address: "mail.test:587", From: "a@b.test", Username: "a"},
		"loopback address": {Address: "mail.test:25", From: "a@b.test", InsecureLoopback: true},
		"neither TLS nor":  {Address: "127.0.0.1:25", From: "a@b.test", InsecureLoopback: true, Username: "a", Password: "b"},
	} {
		if _, err := mail.New(cfg); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := mail.New(mail.Config{}); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two faults: got %v", err)
	}
}
