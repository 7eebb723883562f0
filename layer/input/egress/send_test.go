package egress_test

import (
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/egress"
)

func TestABodyIsSent(t *testing.T) {
	w := newWorld(t)
	type got struct {
		head http.Header
		body string
	}
	received := make(chan got, 1)
	answer := func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- got{r.Header, string(body)}
		rw.WriteHeader(http.StatusTeapot)
		io.WriteString(rw, strings.Repeat("x", egress.MaxReceipt+100))
	}
	w.site("a.example", "93.184.216.34", answer)
	w.secure("b.example", "93.184.216.35", answer)
	c := w.client(egress.Config{})
	signed := http.Header{"Webhook-Signature": {"v1,secret"}, "Content-Type": {"application/json"}}
	body := strings.Repeat("7", egress.MaxSend)
	for url, connection := range map[string][]string{"http://a.example/hook": {"close"}, "https://b.example/hook": nil} {
		receipt, err := c.Send(t.Context(), url, signed, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if receipt.Status != http.StatusTeapot || len(receipt.Body) != egress.MaxReceipt {
			t.Errorf("%s: status %d, %d bytes", url, receipt.Status, len(receipt.Body))
		}
		sent := <-received
		want := http.Header{"Webhook-Signature": {"v1,secret"}, "Content-Type": {"application/json"}, "User-Agent": {"Redoubt/1"},
			"Accept-Encoding": {"identity"}, "Content-Length": {"1048576"}}
		if connection != nil {
			want["Connection"] = connection
		}
		if !reflect.DeepEqual(sent.head, want) || sent.body != body {
			t.Errorf("%s: got %v with %d bytes", url, sent.head, len(sent.body))
		}
	}
	if len(signed) != 2 {
		t.Errorf("the caller's header was changed: %v", signed)
	}
}

// TestAnAnswerThatBreaksOff: who was told that a delivery arrived does not deliver it again for want of the rest.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	w := newWorld(t)
	w.wire("a.example", "93.184.216.34", 80, func(c net.Conn) {
		io.ReadAtLeast(c, make([]byte, 4096), 1)
		io.WriteString(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\ntaken")
	})
	receipt, err := w.client(egress.Config{}).Send(t.Context(), "http://a.example/", nil, nil)
	if err != nil || receipt.Status != http.StatusAccepted || string(receipt.Body) != "taken" {
		t.Errorf("got %+v, %v", receipt, err)
	}
}

func TestWhatIsSentIsBounded(t *testing.T) { // SYSTEM T6
	w := newWorld(t)
	asked := false
	w.site("a.example", "93.184.216.34", func(http.ResponseWriter, *http.Request) { asked = true })
	many := http.Header{}
	for range egress.MaxSendLines + 1 {
		many.Add("X-Line", "1")
	}
	for name, c := range map[string]struct {
		header http.Header
		body   string
		want   string
	}{
		"a host of its own":        {http.Header{"Host": {"b.example"}}, "", `"Host"`},
		"a credential":             {http.Header{"authorization": {"Bearer s3cret"}}, "", `"Authorization"`},
		"a cookie":                 {http.Header{"Cookie": {"s3cret"}}, "", `"Cookie"`},
		"two framings":             {http.Header{"Transfer-Encoding": {"chunked"}, "Content-Length": {"0"}}, "", `"Content-Length"`},
		"a proxy's":                {http.Header{"Proxy-Authorization": {"s3cret"}}, "", `"Proxy-Authorization"`},
		"another agent":            {http.Header{"User-Agent": {"x"}}, "", `"User-Agent"`},
		"one field spelled twice":  {http.Header{"X-A": {"1"}, "x-a": {"2"}}, "", `"X-A"`},
		"too many lines":           {many, "", "more than 32 lines"},
		"lines that are too long":  {http.Header{"X-Line": {strings.Repeat("x", egress.MaxHeader)}}, "", "32768 bytes"},
		"a body of one byte more":  {nil, strings.Repeat("x", egress.MaxSend+1), "1048576 bytes"},
		"two things at once: body": {http.Header{"Host": {"x"}}, strings.Repeat("x", egress.MaxSend+1), "1048576 bytes"},
		"two things at once: host": {http.Header{"Host": {"x"}}, strings.Repeat("x", egress.MaxSend+1), `"Host"`},
	} {
		_, err := w.client(egress.Config{}).Send(t.Context(), "http://a.example/", c.header, []byte(c.body))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") || asked {
			t.Errorf("%s: got %v", name, err)
		}
	}
	broken := http.Header{"X-Line": {"a\r\nHost: b.example"}}
	if _, err := w.client(egress.Config{}).Send(t.Context(), "http://a.example/", broken, nil); fault(t, err) != egress.Unreachable || asked {
		t.Errorf("a line break in a field: %v", err)
	}
}
