package edge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

var (
	alice = assertion.SignOn{By: assertion.ByProvider, Subject: "alice", Provider: "idp", Email: "alice@acme.test", Session: "s1", At: time.Now().Truncate(time.Second)}
	keys  = func() []assertion.VerifyKey { return []assertion.VerifyKey{signingKey.Public()} }
)

// SYSTEM P4: what the gate does not let in, the application never hears of; what it lets in arrives with the edge's word on who it is,
// good for this link alone (SYSTEM P5).
func TestTheGateDecides(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		var heard atomic.Int64
		w := newWorld(t, edge.Times{}, func(c *edge.Config) {
			c.Gate = gate(func(w http.ResponseWriter, r *http.Request, v access.Visitor) (access.Admission, bool) {
				if v.Application != "test" || v.Client.String() != "127.0.0.1" || v.ID == "" {
					t.Errorf("the gate is told %+v", v)
				}
				if r.URL.Path != "/open" {
					http.Error(w, "no", http.StatusForbidden)
					return access.Admission{Rule: "test:2 closed"}, true
				}
				r.Header.Del("X-Gate")
				return access.Admission{Who: alice, Rule: "test:1 open"}, false
			})
		})
		w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			heard.Add(1)
			a, _ := link.From(r.Context())
			token, err := assertion.Open(a.Token, keys(), "test", a.Link, time.Now())
			_, elsewhere := assertion.Open(a.Token, keys(), "test", "another link", time.Now())
			_, other := assertion.Open(a.Token, keys(), "other", a.Link, time.Now())
			fmt.Fprint(w, err, token.Who.Email, " ", elsewhere != nil, other != nil, " ", r.Header["X-Gate"])
		}))
		c := w.client(http2)
		if status, body := w.get(c, "/closed"); status != 403 || body != "no\n" || heard.Load() != 0 {
			t.Errorf("got %d %q, and the application heard %d requests", status, body, heard.Load())
		}
		if status, body := w.get(c, "/open"); status != 200 || body != "<nil>alice@acme.test true true []" {
			t.Errorf("got %d %q", status, body)
		}
		log := w.access
		w.eventually("both lines are written", func() bool { return strings.Count(log.String(), "\n") == 2 })
		for _, want := range []string{`"rule":"test:2 closed"`, `"rule":"test:1 open"`, `"session":"s1"`, `"by":"provider"`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %s: %s", want, log)
			}
		}
		if strings.Contains(log.String(), "alice") {
			t.Errorf("the log names the person: %s", log)
		}
	})
}

// What the gate sees is what the application gets: what ends at the edge is gone before.
func TestTheGateSeesNoHeaderThatEndsHere(t *testing.T) { // SYSTEM P4
	var seen atomic.Pointer[http.Header]
	w := newWorld(t, edge.Times{}, func(c *edge.Config) {
		c.Gate = gate(func(w http.ResponseWriter, r *http.Request, v access.Visitor) (access.Admission, bool) {
			h := r.Header.Clone()
			seen.Store(&h)
			return everybody(w, r, v)
		})
	})
	w.connect(hello)
	w.raw("GET / HTTP/1.1\r\nHost: HOST\r\nCookie: a=b\r\nRedoubt-Service-Token: x\r\nX-A: 1\r\nConnection: close, Cookie, X-A, Redoubt-Service-Token, Host\r\n\r\n")
	if h := *seen.Load(); len(h) != 0 {
		t.Errorf("the gate saw %v", h)
	}
	w.raw("GET / HTTP/1.1\r\nHost: HOST\r\nCookie: a=b\r\nRedoubt-Service-Token: x\r\nConnection: close\r\n\r\n")
	if h := *seen.Load(); h.Get("Cookie") != "a=b" || h.Get("Redoubt-Service-Token") != "x" || h.Get("Connection") != "" {
		t.Errorf("the gate saw %v", h)
	}
}

// SYSTEM P5: below /.redoubt/ there is only the edge, at every spelling of it, whoever may pass; and its keys are for everybody.
func TestReservedPathsNeverReachTheApplication(t *testing.T) {
	var heard atomic.Int64
	w := newWorld(t, edge.Times{})
	w.connect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	c := w.client(true)
	for path, want := range map[string]int{
		"/.redoubt": 404, "/.redoubt/": 404, "/.redoubt/x": 404, "/%2eredoubt/x": 404, "/.%72edoubt/x": 404, "/.redoubt/keys/x": 404, "/.redoubt/keys": 200, "/%2eredoubt/keys": 200,
	} {
		status, body := w.get(c, path)
		if status != want {
			t.Errorf("%s: got %d, want %d", path, status, want)
		}
		if status == 200 && (!strings.Contains(body, signingKey.ID) || !json.Valid([]byte(body))) {
			t.Errorf("the keys are %q", body)
		}
	}
	if resp, err := c.Post(w.url("/.redoubt/keys"), "", nil); err != nil || resp.StatusCode != 405 {
		t.Errorf("got %v, %v", resp, err)
	}
	if heard.Load() != 0 {
		t.Errorf("%d requests reached the application", heard.Load())
	}
	if status, _ := w.get(c, "/.redoubtable"); status != 200 || heard.Load() != 1 {
		t.Errorf("another path with that beginning: got %d", status)
	}
}

// SYSTEM P5 P7: an application that knows nothing of the link gets the edge's word in a header, and no other header of that name.
func TestAssertionHeader(t *testing.T) {
	w := newWorld(t, edge.Times{}, func(c *edge.Config) {
		c.Applications[0].AssertionHeader = true
		c.Gate = gate(func(http.ResponseWriter, *http.Request, access.Visitor) (access.Admission, bool) {
			return access.Admission{Who: alice}, false
		})
	})
	w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Join(r.Header[assertion.HeaderName], "|"))
	}))
	r, _ := http.NewRequest("GET", w.url("/a?b=c"), nil)
	r.Header.Set(assertion.HeaderName, "forged")
	resp, err := w.client(true).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	facts := assertion.RequestFacts{Method: "GET", Host: w.host, Target: "/a?b=c"}
	word, err := assertion.OpenHeader(string(body), keys(), "test", facts, time.Now())
	if err != nil || word.Who.Subject != "alice" {
		t.Errorf("got %+v, %v from %q", word, err, body)
	}
	facts.Target = "/a?b=d"
	if _, err := assertion.OpenHeader(string(body), keys(), "test", facts, time.Now()); err == nil {
		t.Error("it is good for another target")
	}
}

// SYSTEM P4: whoever may no longer pass while a request lasts is cut off, outwards and inwards.
func TestLongRequestsAreDecidedAgain(t *testing.T) {
	protocols(t, func(t *testing.T, http2 bool) {
		for _, how := range []string{"the policy changes", "the session ends", "nothing happens"} {
			t.Run(how, func(t *testing.T) {
				var allowed atomic.Bool
				allowed.Store(true)
				ended := make(chan struct{})
				w := newWorld(t, edge.Times{Recheck: 50 * time.Millisecond}, func(c *edge.Config) {
					c.Gate = gate(func(http.ResponseWriter, *http.Request, access.Visitor) (access.Admission, bool) {
						return access.Admission{Who: alice, Again: allowed.Load, Ended: ended}, false
					})
				})
				over, release := make(chan struct{}), make(chan struct{})
				w.connect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(over)
					fmt.Fprint(w, "begun")
					w.(http.Flusher).Flush()
					select {
					case <-r.Context().Done():
					case <-release:
						fmt.Fprint(w, " and ended")
					}
				}))
				resp, err := w.client(http2).Get(w.url("/"))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				io.ReadFull(resp.Body, make([]byte, 5))
				switch how {
				case "the policy changes":
					allowed.Store(false)
				case "the session ends":
					close(ended)
				default:
					time.Sleep(200 * time.Millisecond)
					close(release)
				}
				rest, err := io.ReadAll(resp.Body)
				if how == "nothing happens" {
					if err != nil || string(rest) != " and ended" {
						t.Errorf("got %q, %v", rest, err)
					}
					return
				}
				if err == nil {
					t.Errorf("the answer ended in order with %q", rest)
				}
				select {
				case <-over:
				case <-time.After(5 * time.Second):
					t.Error("the application was not told within 5 s")
				}
				w.eventually("it is in the log", func() bool { return strings.Contains(w.access.String(), `"broken":"shut out"`) })
			})
		}
	})
}

// SYSTEM P4: a request that is shut out before its answer gets one that says so.
func TestShutOutBeforeTheAnswer(t *testing.T) {
	w := newWorld(t, edge.Times{Recheck: 50 * time.Millisecond}, func(c *edge.Config) {
		c.Gate = gate(func(http.ResponseWriter, *http.Request, access.Visitor) (access.Admission, bool) {
			return access.Admission{Who: alice, Again: func() bool { return false }}, false
		})
	})
	w.connect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	if status, _ := w.get(w.client(true), "/"); status != 401 {
		t.Errorf("got %d, want 401", status)
	}
}

// SYSTEM P6 P7: requests go to the application whose host was asked for, by its own links.
func TestSeveralApplications(t *testing.T) {
	w := newWorld(t, edge.Times{}, func(c *edge.Config) {
		origin := c.Applications[0].Origin
		c.Applications = append(c.Applications,
			edge.Application{Name: "other", Origin: strings.Replace(origin, "localhost", "other.localhost", 1), Aliases: []string{strings.Replace(origin, "localhost", "www.other.localhost", 1)}},
			edge.Application{Name: "test", Origin: strings.Replace(origin, "localhost", "second.localhost", 1)})
	})
	named := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name, " ", r.Host) })
	}
	w.connect(named("test"))
	w.connect(named("other"), func(c *connector) { c.peer.Application = "other" })
	c := w.client(true)
	for host, want := range map[string]string{
		w.host: "200 test " + w.host, "other." + w.host: "200 other other." + w.host, "second." + w.host: "200 test second." + w.host,
		"www.other." + w.host: "308 https://other." + w.host + "/x?y", "third." + w.host: "421 ", strings.ToUpper("other." + w.host): "200 other other." + w.host,
	} {
		r, _ := http.NewRequest("GET", w.url("/x?y"), nil)
		r.Host = host
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			body = []byte(resp.Header.Get("Location"))
		}
		if got := fmt.Sprint(resp.StatusCode, " ", string(body)); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

// A signer that has no key to sign with: nothing is sent unsigned.
type broken struct{ edge.Signer }

func (broken) Token(string, string, assertion.SignOn) (string, error) {
	return "", errors.New("the key is gone")
}
func (broken) JWKS() ([]byte, error) { return nil, errors.New("the key is gone") }

func TestNothingIsSentUnsigned(t *testing.T) { // SYSTEM P5
	var heard atomic.Int64
	w := newWorld(t, edge.Times{}, func(c *edge.Config) { c.Signer = broken{} })
	w.connect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }), func(c *connector) { c.links = 2 })
	if status, body := w.get(w.client(true), "/"); status != 502 || heard.Load() != 0 || strings.Contains(body, "key is gone") {
		t.Errorf("got %d %s, and the application heard %d", status, body, heard.Load())
	}
	if status, body := w.get(w.client(true), "/.redoubt/keys"); status != 503 || strings.Contains(body, "key is gone") {
		t.Errorf("got %d %s", status, body)
	}
}

func TestConfigurationProblemsAreReportedTogether(t *testing.T) {
	_, err := edge.New(edge.Config{
		Applications: []edge.Application{{Origin: "http://x/y"}, {Name: "a", Origin: "https://a"}, {Name: "b", Origin: "https://A:443", MaxBody: -2}},
		MinVersion:   1, MaxConns: -1, Rate: edge.Rate{Burst: 1},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"no gate", "no signer", "no authority", "public certificate", "TLS version", "limit is negative", "no requests per second",
		"application 1: its name", "application 1: an origin", "application 3: its host is given twice", "application 3: a limit"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if _, err := edge.New(edge.Config{}); err == nil || !strings.Contains(err.Error(), "no application is given") {
		t.Errorf("got %v", err)
	}
}
