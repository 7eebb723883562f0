package perimeter_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// everybody is a gate that lets everybody in.
type everybody struct{}

func (everybody) Admit(http.ResponseWriter, *http.Request, access.Visitor) (access.Admission, bool) {
	return access.Admission{Who: assertion.SignOn{By: assertion.ByNobody}, Rule: "test", Again: func() bool { return true }}, false
}

// A front is an edge in full.
type front struct {
	*enrol.Authority
	edge *edge.Edge
	addr string
	stop func() error
}

func newFront(t *testing.T, folder, addr, name string, keys *provision.Keys, life time.Duration) *front {
	t.Helper()
	shared, err := state.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{}
	if f.Authority, err = enrol.New(enrol.Config{Folder: shared, Edge: name, Life: life}); err != nil {
		t.Fatal(err)
	}
	signer, err := assertion.NewSigner(assertion.SignerConfig{Key: f.Signer, Keys: f.Keys})
	if err != nil {
		t.Fatal(err)
	}
	f.edge, err = edge.New(edge.Config{
		Applications: []edge.Application{{Name: "app", Origin: "https://localhost:8443"}},
		Gate:         everybody{}, Signer: signer, Authority: f.Authority, GetCertificate: keys.GetCertificate,
	})
	if err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	within(t, 5*time.Second, "the port is free", func() bool {
		l, err = net.Listen("tcp", addr)
		return err == nil
	})
	f.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.edge.Serve(ctx, l, nil) }()
	f.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { f.stop() })
	return f
}

// visitors asks the edges in turn, each again at the other if it is not there at all, as a balancer before them does.
func visitors(t *testing.T, keys *provision.Keys, addrs ...string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(keys.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	var turn atomic.Int64
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
			for range addrs {
				if conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", addrs[int(turn.Add(1))%len(addrs)]); err == nil {
					return conn, nil
				}
			}
			return nil, err
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func verified(t *testing.T, keys func() []assertion.VerifyKey, h http.Handler) http.Handler {
	t.Helper()
	v, err := perimeter.NewVerifier(perimeter.VerifierConfig{Keys: keys, Audience: "app", Refuse: func(w http.ResponseWriter, _ *http.Request, r *layer.Refusal) {
		http.Error(w, r.Error(), http.StatusUnauthorized)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return v.Handler(h)
}

// SYSTEM P1 P3 P5 P6: edge, authority, connector and verifier as they are. While requests run, certificates are renewed, the authority
// and the key for assertions are replaced, and one of the two edges is started anew: no request fails. Then the connector is revoked.
func TestEdgeAndConnectorTogether(t *testing.T) {
	t.Parallel()
	keys, err := provision.Open(filepath.Join(t.TempDir(), "tls"), nil)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	const life = 12 * time.Second
	first := newFront(t, folder, "127.0.0.1:0", "edge-1", keys, life)
	second := newFront(t, folder, "127.0.0.1:0", "edge-2", keys, life)
	token, err := first.Invite("app", []string{first.addr, second.addr})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := enrol.Join(t.Context(), token, filepath.Join(t.TempDir(), "credential.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := connect(t, credential, verified(t, credential.Keys, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visit, known := perimeter.From(r.Context())
		fmt.Fprint(w, visit.Host, " ", known)
	})))
	up := func(f *front) func() bool { return func() bool { return f.edge.Links("app") >= 2 } }
	within(t, 10*time.Second, "the first edge has its links", up(first))
	within(t, 10*time.Second, "the second edge has its links", up(second))

	client := visitors(t, keys, first.addr, second.addr)
	ask := func() error {
		resp, err := client.Get("https://localhost:8443/")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && string(body) != "localhost:8443 true" {
			err = fmt.Errorf("status %d: %.200s", resp.StatusCode, body)
		}
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	var served, failed atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if err := ask(); err != nil {
					failed.Add(1)
					t.Logf("failed: %v", err)
				}
				served.Add(1)
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	pin, key := credential.Pin(), first.Signer().ID
	within(t, 20*time.Second, "the certificate was renewed", func() bool { return credential.Pin() != pin })
	if err := second.Rotate(); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "the rotation can be finished", func() bool { return second.FinishRotation() == nil })
	within(t, 5*time.Second, "the first edge signs with the new key", func() bool { return first.Signer().ID != key })
	if err := first.stop(); err != nil {
		t.Error(err)
	}
	first = newFront(t, folder, first.addr, "edge-1", keys, life)
	within(t, prompt, "the first edge has its links again", up(first))
	time.Sleep(500 * time.Millisecond)
	cancel()
	clients.Wait()
	if failed.Load() != 0 {
		t.Errorf("%d of %d requests failed, want 0", failed.Load(), served.Load())
	}
	t.Logf("%d requests", served.Load())
	if err := first.Revoke(credential.ID()); err != nil {
		t.Fatal(err)
	}
	within(t, prompt, "no edge has a link", func() bool { return first.edge.Links("app")+second.edge.Links("app") == 0 })
	if err := ask(); err == nil || !strings.Contains(err.Error(), "status 503") {
		t.Errorf("afterwards: got %v", err)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}
