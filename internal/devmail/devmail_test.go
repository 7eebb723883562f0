package devmail_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/backbone/mail"
	"github.com/redoubt-dev/redoubt/internal/devmail"
)

// catch runs a catcher and a sender that sends to it, as up and the application do.
func catch(t *testing.T) (*devmail.Catcher, *mail.SMTP, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &devmail.Catcher{}
	ended := make(chan error, 1)
	go func() { ended <- c.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s, err := mail.New(mail.Config{Address: l.Addr().String(), From: "Commons <commons@localhost.test>", InsecureLoopback: true})
	if err != nil {
		t.Fatal(err)
	}
	return c, s, l.Addr().String()
}

func get(c *devmail.Catcher, path string) (int, string, http.Header) {
	rec := httptest.NewRecorder()
	c.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
	return rec.Code, rec.Body.String(), rec.Header()
}

func TestWhatIsSentIsShown(t *testing.T) {
	c, s, _ := catch(t)
	link := "https://localhost:8443/invitations/rdi_" + strings.Repeat("a", 43)
	for _, m := range []mail.Message{
		{To: "ann@example.test", Subject: "Come “in”", Text: "Hello\n\n.\n" + link + "\n<script>alert(1)</script> javascript:alert(1)", HTML: "<p>secret of the HTML</p>"},
		{To: "bob@example.test", Subject: "<b>Second</b>", Text: "Hello"},
	} {
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	code, list, header := get(c, devmail.Path)
	if code != 200 || strings.Index(list, "&lt;b&gt;Second") > strings.Index(list, "Come “in”") || strings.Contains(list, "<b>") || !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %s %v", code, list, header)
	}
	_, one, _ := get(c, devmail.Path+"/1")
	for _, want := range []string{`<a href="` + link + `"`, "&lt;script&gt;", "ann@example.test", "\n.\n"} {
		if !strings.Contains(one, want) {
			t.Errorf("no %q in %s", want, one)
		}
	}
	for _, not := range []string{"<script", `href="javascript`, "secret of the HTML"} {
		if strings.Contains(one, not) {
			t.Errorf("%q in %s", not, one)
		}
	}
	for _, path := range []string{devmail.Path + "/3", devmail.Path + "/x", devmail.Path + "/", "/etc/passwd"} {
		if code, _, _ := get(c, path); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func TestTheCatcherIsBounded(t *testing.T) {
	c, s, address := catch(t)
	for i := range 201 {
		if err := s.Send(t.Context(), mail.Message{To: "ann@example.test", Subject: fmt.Sprint(i + 1), Text: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	all := c.Messages()
	if len(all) != 200 || all[0].Subject != "201" || all[199].Subject != "2" {
		t.Errorf("%d are kept, from %s to %s", len(all), all[len(all)-1].Subject, all[0].Subject)
	}
	for name, said := range map[string]string{
		"a line without an end":    "EHLO " + strings.Repeat("x", 5000) + "\r\n",
		"a message without an end": "MAIL FROM:<a@b.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n" + strings.Repeat(strings.Repeat("x", 1000)+"\r\n", 1100),
		"commands without an end":  strings.Repeat("NOOP\r\n", 101),
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		go io.WriteString(conn, said)
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: it is still there", name)
		}
		conn.Close()
	}
	if len(c.Messages()) != 200 {
		t.Error("something unreadable was kept")
	}
}
