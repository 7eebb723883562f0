package origin_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/origin"
)

const asksUpgrade = "GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-Websocket-Key: x\r\nSec-Websocket-Version: 13\r\n\r\n"

// fronts are the two servers behind which an Origin stands: net/http itself, and the link.
var fronts = map[string]func(t *testing.T, target string, changes ...func(*origin.Config)) string{
	"net/http": func(t *testing.T, target string, changes ...func(*origin.Config)) string {
		return before(t, target, changes...).Listener.Addr().String()
	},
	"the link": func(t *testing.T, target string, changes ...func(*origin.Config)) string {
		return newChain(t, newOffice(t, signing, 0), target, changes...).Listener.Addr().String()
	},
}

func dial(t *testing.T, address string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*net.TCPConn), bufio.NewReader(c)
}

// SYSTEM P2: after the change of protocols bytes pass both ways, those that came with the heads included, and each side may end first.
func TestWebSocketsPass(t *testing.T) {
	for name, stand := range fronts {
		for _, first := range []string{"the client", "the application"} {
			t.Run(name+", ended by "+first, func(t *testing.T) {
				ended := make(chan error, 1)
				address := stand(t, rude(t, func(_ int, c net.Conn, r *bufio.Reader) {
					lines, _ := readHead(r)
					if head := strings.Join(lines, "\n"); !strings.Contains(head, "Connection: Upgrade\nUpgrade: websocket") || strings.Contains(head, "keep-alive") || strings.Contains(head, "Content-Length") {
						t.Errorf("the application was asked %q", head)
					}
					io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-Websocket-Accept: y\r\n\r\nhello")
					got := make([]byte, 5)
					io.ReadFull(r, got)
					fmt.Fprintf(c, "[%s]", got)
					if first == "the application" {
						c.(*net.TCPConn).CloseWrite()
					}
					rest, err := io.ReadAll(r)
					if string(rest) != "last" {
						err = fmt.Errorf("the application got %q, %v", rest, err)
					}
					fmt.Fprintf(c, "ended")
					ended <- err
				}))
				c, r := dial(t, address)
				io.WriteString(c, asksUpgrade)
				lines, err := readHead(r)
				if err != nil || lines[0] != "HTTP/1.1 101 Switching Protocols" || !strings.Contains(strings.Join(lines, "\n"), "Sec-Websocket-Accept: y") {
					t.Fatalf("got %q, %v", lines, err)
				}
				io.WriteString(c, "early")
				want := "hello[early]"
				got := make([]byte, len(want))
				if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
					t.Fatalf("got %q, %v", got, err)
				}
				io.WriteString(c, "last")
				c.CloseWrite()
				rest, err := io.ReadAll(r)
				if want := map[string]string{"the client": "ended", "the application": ""}[first]; string(rest) != want || err != nil {
					t.Errorf("the client got %q, %v at the end", rest, err)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// SYSTEM P6: without the application's consent there is no WebSocket, and what a client sends on is not forwarded as one.
func TestUpgradesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		ask, answer string
		status      int
	}{
		"not wanted":         {asksUpgrade, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", 200},
		"not found":          {asksUpgrade, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404},
		"changed to another": {asksUpgrade, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 502},
		"changed to none":    {asksUpgrade, "HTTP/1.1 101 Switching Protocols\r\n\r\n", 502},
		"h2c asked for":      {strings.ReplaceAll(asksUpgrade, "websocket", "h2c"), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 502},
		"not asked by GET":   {strings.Replace(asksUpgrade, "GET", "DELETE", 1), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502},
		"not named as Connection": {strings.Replace(asksUpgrade, "keep-alive, Upgrade", "keep-alive", 1),
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502},
	} {
		asked := make(chan string, 10)
		address := fronts["net/http"](t, rude(t, func(_ int, conn net.Conn, r *bufio.Reader) {
			for {
				lines, err := readHead(r)
				if err != nil {
					return
				}
				asked <- lines[0]
				io.WriteString(conn, c.answer)
			}
		}))
		conn, r := dial(t, address)
		io.WriteString(conn, c.ask+"GET /smuggled HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		io.Copy(io.Discard, answer.Body)
		if answer.StatusCode != c.status {
			t.Errorf("%s: got %d, want %d", name, answer.StatusCode, c.status)
		}
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Errorf("%s: the next request got no answer of its own: %v", name, err)
		}
		if first, second := <-asked, <-asked; strings.Contains(first, "smuggled") || !strings.Contains(second, "smuggled") {
			t.Errorf("%s: the application was asked %q, then %q", name, first, second)
		}
	}
}

// SYSTEM T6: a WebSocket on which both are silent ends; one that one side uses does not.
func TestSilentWebSocketsEnd(t *testing.T) {
	for name, stand := range fronts {
		t.Run(name, func(t *testing.T) {
			address := stand(t, rude(t, func(_ int, c net.Conn, r *bufio.Reader) {
				readHead(r)
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				for range 6 {
					time.Sleep(50 * time.Millisecond)
					io.WriteString(c, "x")
				}
				io.Copy(io.Discard, r)
			}), func(c *origin.Config) { c.Idle = 200 * time.Millisecond })
			c, r := dial(t, address)
			io.WriteString(c, asksUpgrade)
			if _, err := readHead(r); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			got, _ := io.ReadAll(r)
			if took := time.Since(began); string(got) != "xxxxxx" || took < 400*time.Millisecond || took > 5*time.Second {
				t.Errorf("got %q after %v", got, took)
			}
		})
	}
}
