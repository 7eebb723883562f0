package command_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const staffOnly = `
@id("ci") permit (principal == Service::"ci", action, resource in Host::"localhost:%s");
@id("health") @public("monitoring asks here") permit (principal, action == Action::"GET", resource == Path::"localhost:%s/health");
`

// SYSTEM P4 and P7: an application that knows nothing of us is reached by whom the policy names, and by nobody else.
func TestAnApplicationOfSomebodyElseBehindAnEdge(t *testing.T) {
	t.Parallel()
	var service struct{ Token, SHA256 string }
	if err := json.Unmarshal([]byte((&edgeWorld{T: t}).command("edge", "token", "ci", "--json")), &service); err != nil {
		t.Fatal(err)
	}
	token := service.Token
	w := newEdgeWorld(t, staffOnly, "[[service]]\nname = \"ci\"\nsha256 = \""+service.SHA256+"\"\n")
	t.Run("everybody may ask what is public", func(t *testing.T) {
		if status, body := w.ask("GET", "/health", nil); status != http.StatusOK {
			t.Errorf("got %d %s", status, body)
		}
	})
	t.Run("nobody else may ask anything else", func(t *testing.T) {
		for _, c := range []struct{ method, path string }{{"GET", "/"}, {"POST", "/health"}, {"GET", "/health/"}, {"GET", "/Health"}, {"GET", "/healthy"}} {
			if status, body := w.ask(c.method, c.path, nil); status == http.StatusOK || strings.Contains(body, "User-Agent") {
				t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
			}
		}
	})
	t.Run("a program with its token may", func(t *testing.T) {
		status, body := w.ask("GET", "/anything", map[string]string{"Redoubt-Service-Token": token, "X-Forwarded-For": "6.6.6.6", "Remote-User": "admin"})
		if status != http.StatusOK {
			t.Fatalf("got %d %s", status, body)
		}
		var seen http.Header
		if err := json.Unmarshal([]byte(body), &seen); err != nil {
			t.Fatal(err)
		}
		if seen.Get("Redoubt-Service-Token") != "" || seen.Get("Remote-User") != "" || seen.Get("X-Forwarded-For") != "127.0.0.1" {
			t.Errorf("the application was told %v", seen)
		}
		if seen.Get("Redoubt-Assertion") == "" || seen.Get("X-Forwarded-Proto") != "https" {
			t.Errorf("the application was not told who asks, or how: %v", seen)
		}
	})
	t.Run("explain says what decides, with an exit code of its own", func(t *testing.T) {
		out := w.command("edge", "explain", "--config", w.config, "GET", w.url("/health"))
		if !strings.Contains(out, "health") || !strings.Contains(out, "app.cedar:3") {
			t.Errorf("it said:\n%s", out)
		}
		out, err := w.try("edge", "explain", "--config", w.config, "--as", "bob@acme.test", "--by-mail", "GET", w.url("/admin"))
		if code := exitCode(err); code != 3 {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	})
	t.Run("the connector listens nowhere", func(t *testing.T) { // SYSTEM P1
		if got := listening(t, w.connector.cmd.Process.Pid); got != 0 {
			t.Errorf("it has %d listening sockets", got)
		}
		if got := listening(t, w.edge.cmd.Process.Pid); got != 2 {
			t.Errorf("the edge has %d: is the list right?", got)
		}
	})
	t.Run("the operator sees that all is well", func(t *testing.T) {
		resp, err := http.Get("http://" + w.operator + "/readyz")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("/readyz: %v %v", resp, err)
		}
		resp, err = http.Get("http://" + w.operator + "/metrics")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("/metrics: %v %v", resp, err)
		}
	})
	t.Run("the access log names the rule and no secret", func(t *testing.T) {
		said := w.edge.said()
		if !strings.Contains(said, "app.cedar:2") || strings.Contains(said, token) || strings.Contains(said, token[len(token)-20:]) {
			t.Errorf("it said:\n%s", tail(said, 2000))
		}
	})
	t.Run("a standby page answers while its file exists", func(t *testing.T) {
		w.write("standby", "")
		if status, _ := w.ask("GET", "/health", nil); status != http.StatusServiceUnavailable {
			t.Errorf("with the file: %d", status)
		}
		os.Remove(filepath.Join(w.dir, "standby"))
		if status, _ := w.ask("GET", "/health", nil); status != http.StatusOK {
			t.Errorf("without: %d", status)
		}
	})
	t.Run("a new policy is taken while it runs, and a broken one is not", func(t *testing.T) {
		w.write("app.cedar", `permit (principal, action, resource);`) // for everybody, and does not say why
		time.Sleep(4 * time.Second)
		if status, _ := w.ask("GET", "/", nil); status == http.StatusOK {
			t.Error("a careless policy opened the application")
		}
		if status, _ := w.ask("GET", "/health", nil); status != http.StatusOK {
			t.Errorf("the policy before did not stay: %d", status)
		}
		w.write("app.cedar", `@id("none") forbid (principal, action, resource);`)
		if !eventually(10*time.Second, func() bool { status, _ := w.ask("GET", "/health", nil); return status != http.StatusOK }) {
			t.Error("a policy that forbids was not taken")
		}
	})
}

func TestWhoIsRevokedIsOutAtOnce(t *testing.T) { // SYSTEM P3
	t.Parallel()
	w := newEdgeWorld(t, everybody, "")
	w.healthy()
	var peers []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(w.command("edge", "connectors", "--config", w.config, "--json")), &peers); err != nil || len(peers) != 1 {
		t.Fatalf("%v, %v", peers, err)
	}
	w.command("edge", "revoke", peers[0].ID, "--config", w.config)
	if !eventually(3*time.Second, func() bool { status, _ := w.ask("GET", "/", nil); return status == http.StatusServiceUnavailable }) {
		t.Error("it still takes requests after three seconds")
	}
}

func TestAnInvitationIsGoodOnce(t *testing.T) {
	t.Parallel()
	w := newEdgeWorld(t, everybody, "")
	w.healthy()
	var invitation struct{ Token string }
	if err := json.Unmarshal([]byte(w.command("edge", "invite", "app", "--config", w.config, "--edge", w.public, "--json")), &invitation); err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(w.dir, "second.json")
	p := startProcess(t, nil, "connect", "--to", "http://"+w.origin, "--credential", second, "--join", invitation.Token, "--json")
	p.wait(t, `"linked"`)
	out, err := w.try("connect", "--to", "http://"+w.origin, "--credential", filepath.Join(w.dir, "third.json"), "--join", invitation.Token)
	if exitCode(err) != 1 || !strings.Contains(out, "redoubt: error:") || !strings.Contains(out, "redoubt: hint:") {
		t.Errorf("the same token again: %v\n%s", err, out)
	}
	if strings.Contains(out, invitation.Token) {
		t.Error("the token is repeated in the message")
	}
	if _, err := os.Stat(filepath.Join(w.dir, "third.json")); err == nil {
		t.Error("a credential was written all the same")
	}
}

// SYSTEM P6: a connector is replaced under load and nobody notices.
func TestARollingRestartFailsNoRequest(t *testing.T) {
	t.Parallel()
	w := newEdgeWorld(t, everybody, "")
	w.healthy()
	var invitation struct{ Token string }
	json.Unmarshal([]byte(w.command("edge", "invite", "app", "--config", w.config, "--edge", w.public, "--json")), &invitation)
	second := filepath.Join(w.dir, "second.json")
	args := []string{"connect", "--to", "http://" + w.origin, "--credential", second, "--json"}
	other := startProcess(t, nil, append(args, "--join", invitation.Token)...)
	other.wait(t, `"linked"`)
	writing := w.keepWriting()
	for range 2 {
		w.connector.stop(t)
		w.startConnector()
		other.stop(t)
		other = startProcess(t, nil, args...)
		other.wait(t, `"linked"`)
	}
	time.Sleep(300 * time.Millisecond)
	if writing.end(); writing.failed != 0 {
		t.Errorf("%d requests failed", writing.failed)
	}
}

// SYSTEM P6: one of two edges that share a folder is replaced under load. A client that knows both addresses, as by DNS, notices nothing.
func TestOneOfTwoEdgesIsReplaced(t *testing.T) {
	t.Parallel()
	w := newEdgeWorld(t, everybody, "")
	w.healthy()
	second := freeAddress(t)
	text, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.write("second.toml", "name = \"second\"\n"+strings.NewReplacer(w.public, second, w.operator, freeAddress(t)).Replace(string(text)))
	startProcess(t, nil, "edge", "--config", filepath.Join(w.dir, "second.toml")).wait(t, `"listening"`)
	w.connector.stop(t)
	w.startConnector("--edge", w.public, "--edge", second)
	if !eventually(10*time.Second, func() bool { return w.linkedAt(second) && w.linkedAt(w.public) }) {
		t.Fatal("the connector is not linked to both edges")
	}
	w.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, w.public)
		if err != nil {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, second)
		}
		return conn, err
	}
	writing := w.keepWriting()
	for range 2 {
		time.Sleep(300 * time.Millisecond)
		w.edge.stop(t)
		time.Sleep(300 * time.Millisecond)
		w.startEdge()
		if !eventually(recovery, func() bool { return w.linkedAt(w.public) }) {
			t.Errorf("the connector is not linked again %v after its edge came back", recovery)
		}
	}
	if writing.end(); writing.failed != 0 {
		t.Errorf("%d requests failed", writing.failed)
	}
}

// linkedAt reports whether the edge at this address has the application.
func (w *edgeWorld) linkedAt(address string) bool {
	transport := w.newClient().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get(w.url("/"))
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func TestEventsArriveAtOnceAndEndWithTheirReader(t *testing.T) {
	t.Parallel()
	w := newEdgeWorld(t, everybody, "")
	w.healthy()
	resp, err := w.client.Get(w.url("/events"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	for range 6 {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	resp.Body.Close()
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "edge.toml")
	w := &edgeWorld{T: t, dir: dir}
	w.write("a.cedar", "permit (principal, action, resource);\nforbid (principal, action, resource in Host::\"b.example\");")
	w.write("edge.toml", "state = \"s\"\n[certificate]\nlocal = true\n[[application]]\nname = \"a\"\norigin = \"https://a.example\"\npolicies = [\"a.cedar\"]\n")
	out, err := w.try("edge", "--config", config, "--check")
	if exitCode(err) != 1 || !strings.Contains(out, "a.cedar:1") || !strings.Contains(out, "a.cedar:2") || !strings.Contains(out, "redoubt: hint:") {
		t.Errorf("got %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "s")); err == nil {
		t.Error("checking made the folder")
	}
	w.write("a.cedar", "@id(\"x\") @public(\"a test\") permit (principal, action, resource in Host::\"a.example\");")
	if out, err := w.try("edge", "--config", config, "--check"); err != nil || !strings.Contains(out, "is good") {
		t.Errorf("a good one: %v\n%s", err, out)
	}
	if out, err := w.try("edge", "--config", filepath.Join(dir, "nowhere.toml")); exitCode(err) != 1 || !strings.Contains(out, "redoubt: hint:") {
		t.Errorf("none: %v\n%s", err, out)
	}
}

func eventually(limit time.Duration, is func() bool) bool {
	for began := time.Now(); time.Since(began) < limit; time.Sleep(50 * time.Millisecond) {
		if is() {
			return true
		}
	}
	return false
}
