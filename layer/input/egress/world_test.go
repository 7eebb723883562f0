package egress_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/egress"
)

// A world is an internet on loopback: a name server, sites on public addresses, and one service inside that nobody may reach.
type world struct {
	t       *testing.T
	names   *nameserver
	roots   *x509.CertPool
	key     *ecdsa.PrivateKey
	ca      *x509.Certificate
	secret  string                         // where the service inside listens
	reached atomic.Int32                   // how often it was asked
	watch   func(net.Conn, http.ConnState) // sees the connections of sites that are made from then on

	mu    sync.Mutex
	sites map[netip.AddrPort]string
}

// TestMain puts a proxy into the environment before anything reads it: net/http reads it once.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		os.Setenv(name, "http://proxy.example:3128")
	}
	os.Exit(m.Run())
}

const secret = "the machine's own credentials"

func newWorld(t *testing.T) *world {
	w := &world{t: t, names: newNameserver(t), sites: map[netip.AddrPort]string{}, roots: x509.NewCertPool()}
	inside := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		w.reached.Add(1)
		rw.Header().Set("Content-Type", "text/html")
		io.WriteString(rw, secret)
	}))
	t.Cleanup(inside.Close)
	w.secret = inside.Listener.Addr().String()
	w.key, w.ca = certificate(t, "an authority of this test", nil, nil)
	w.roots.AddCert(w.ca)
	return w
}

// route leads public addresses to their sites and every other address, whatever its port, to the service inside.
func (w *world) route(to netip.AddrPort) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if site, ok := w.sites[to]; ok {
		return site, true
	}
	return w.secret, egress.Special(to.Addr()) || egress.Special(to.Addr().Unmap())
}

// site answers for a name at an address, by http on port 80.
func (w *world) site(name, addr string, answer http.HandlerFunc) *httptest.Server {
	s := httptest.NewUnstartedServer(answer)
	s.Config.ConnState = w.watch
	s.Start()
	w.t.Cleanup(s.Close)
	w.place(name, addr, 80, s.Listener.Addr().String())
	return s
}

// secure does so by https on port 443, with HTTP/2.
func (w *world) secure(name, addr string, answer http.HandlerFunc, certified ...string) *httptest.Server {
	s := httptest.NewUnstartedServer(answer)
	s.EnableHTTP2 = true
	s.Config.ErrorLog, s.Config.ConnState = quiet, w.watch
	key, leaf := certificate(w.t, append(certified, name)[0], w.key, w.ca)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
	s.StartTLS()
	w.t.Cleanup(s.Close)
	w.place(name, addr, 443, s.Listener.Addr().String())
	return s
}

func (w *world) place(name, addr string, port uint16, listener string) {
	w.names.says(name, addr)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sites[netip.AddrPortFrom(netip.MustParseAddr(addr), port)] = listener
}

// wire is a site that speaks bytes of the test's own.
func (w *world) wire(name, addr string, port uint16, speak func(net.Conn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				speak(conn)
			}()
		}
	}()
	w.place(name, addr, port, l.Addr().String())
}

// client is ours, in this world.
func (w *world) client(config egress.Config) *egress.Client {
	w.t.Helper()
	config.Resolver, config.Roots = w.names.resolver(), w.roots
	c, err := egress.New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	c.Reroute(w.route)
	if config.Total == 0 { // a busy machine is slow, and what is tested here is not its speed
		c.Hurry(time.Minute, 30*time.Second)
	}
	return c
}

// plain is what a program has without us, in the same world. It reads hosts as C libraries do.
func (w *world) plain() *http.Client {
	dial := func(ctx context.Context, _, address string) (conn net.Conn, err error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		n, _ := strconv.ParseUint(port, 10, 16)
		addrs := inetAton(host)
		if addrs == nil {
			if addrs, err = w.names.resolver().LookupNetIP(ctx, "ip", host); err != nil {
				return nil, err
			}
		}
		for _, a := range addrs {
			if to, ok := w.route(netip.AddrPortFrom(a.Unmap().WithZone(""), uint16(n))); ok {
				return new(net.Dialer).DialContext(ctx, "tcp", to)
			}
		}
		return nil, syscall.ECONNREFUSED
	}
	transport := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: w.roots}}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// inetAton reads an address as inet_aton of C does: one to four numbers, decimal, octal or hexadecimal, the last one filling up.
func inetAton(host string) []netip.Addr {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return nil
	}
	var sum uint64
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 0, 32)
		if err != nil {
			return nil
		}
		if i < len(parts)-1 {
			n <<= 8 * (3 - i)
		}
		sum += n
	}
	return []netip.Addr{netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})}
}

// certificate makes one: of an authority when by is nil.
func certificate(t *testing.T, name string, by *ecdsa.PrivateKey, ca *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if by == nil {
		template.IsCA, template.BasicConstraintsValid, template.DNSNames = true, true, nil
		by, ca = key, template
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return key, made
}

// A nameserver answers over UDP as it is told: "A" or "AAAA" for addresses, and "cname:" another name. A name has one list for each time
// it is asked; the last one stays. Nothing may be remembered: the time to live is 0.
type nameserver struct {
	at    string
	mu    sync.Mutex
	lists map[string][][]string
	asked map[string]int
}

func newNameserver(t *testing.T) *nameserver {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	s := &nameserver{at: socket.LocalAddr().String(), lists: map[string][][]string{}, asked: map[string]int{}}
	go s.serve(socket)
	return s
}

func (s *nameserver) says(name string, answers ...string) { s.saysInTurn(name, answers) }

func (s *nameserver) saysInTurn(name string, lists ...[]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists[name] = lists
}

func (s *nameserver) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.at)
	}}
}

// times is how often a name's addresses were asked for.
func (s *nameserver) times(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name+" "+dnsmessage.TypeA.String()]
}

func (s *nameserver) serve(socket net.PacketConn) {
	packet := make([]byte, 4096)
	for {
		n, from, err := socket.ReadFrom(packet)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(packet[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		if answer := s.answer(m); answer != nil {
			socket.WriteTo(answer, from)
		}
	}
}

func (s *nameserver) answer(ask dnsmessage.Message) []byte {
	q := ask.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: ask.ID, Response: true, RecursionAvailable: true}, Questions: ask.Questions}
	list, ok := s.next(name, q.Type)
	switch {
	case !ok:
		m.RCode = dnsmessage.RCodeNameError
	case len(list) > 0 && list[0] == "silence":
		return nil
	case len(list) > 0 && list[0] == "truncated":
		m.Truncated = true
	default:
		m.Answers = s.records(q.Name, q.Type, list)
	}
	packed, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return packed
}

func (s *nameserver) next(name string, kind dnsmessage.Type) ([]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lists, ok := s.lists[name]
	if !ok {
		return nil, false
	}
	key := name + " " + kind.String()
	n := min(s.asked[key], len(lists)-1)
	s.asked[key]++
	return lists[n], true
}

func (s *nameserver) records(name dnsmessage.Name, kind dnsmessage.Type, list []string) (all []dnsmessage.Resource) {
	head := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET}
	for _, one := range list {
		if other, ok := strings.CutPrefix(one, "cname:"); ok {
			to := dnsmessage.MustNewName(other + ".")
			all = append(all, dnsmessage.Resource{Header: head, Body: &dnsmessage.CNAMEResource{CNAME: to}})
			more, _ := s.next(other, kind)
			all = append(all, s.records(to, kind, more)...)
			continue
		}
		switch a := netip.MustParseAddr(one); {
		case a.Is4() && kind == dnsmessage.TypeA:
			all = append(all, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && kind == dnsmessage.TypeAAAA:
			all = append(all, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return all
}

var page = egress.Want{Types: []string{"text/html"}, Bytes: 64 << 10}

func html(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		io.WriteString(w, text)
	}
}

// fault is why err refuses, after making sure that nobody is told more than the one sentence. It is empty for no error.
func fault(t *testing.T, err error) egress.Fault {
	t.Helper()
	if err == nil {
		return ""
	}
	refusal, ok := errors.AsType[*layer.Refusal](err)
	if !ok {
		t.Fatalf("%v is no refusal", err)
	}
	cause, ok := refusal.Cause.(egress.Fault)
	want := layer.Refusal{By: layer.Input, Reason: layer.Invalid, Public: "This address cannot be reached from here.", Cause: cause}
	if cause == egress.Busy {
		want.Reason, want.Public = layer.Limited, "Too many addresses are being asked at once. Try again shortly."
	}
	if !ok || refusal.Reason != want.Reason || refusal.By != want.By || refusal.Public != want.Public || refusal.Fields != nil {
		t.Errorf("the refusal tells more, or something else: %+v", refusal)
	}
	return cause
}
