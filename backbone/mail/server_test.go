package mail_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/backbone/mail"
)

// A server is a mail server that behaves as a test says. It listens on a port of loopback and speaks real SMTP.
type server struct {
	address string
	roots   *x509.CertPool

	replies  map[string][]string // by verb: what it answers instead, one after the other; "drop" hangs up, "stall" says nothing more
	plain    bool                // offers no STARTTLS
	implicit bool

	mu       sync.Mutex
	asked    int      // connections
	verbs    []string // everything that was said, without the texts
	messages []string
	secured  bool // the last message came over TLS
}

func start(t *testing.T, s *server) *server {
	t.Helper()
	certificate, roots := selfSigned(t, "127.0.0.1")
	s.roots = roots
	cfg := &tls.Config{Certificates: []tls.Certificate{certificate}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if s.implicit {
				conn = tls.Server(conn, cfg)
			}
			t.Cleanup(func() { conn.Close() })
			open.Go(func() { s.talk(conn, cfg) })
		}
	})
	t.Cleanup(func() { l.Close() })
	return s
}

func (s *server) count(f func()) { s.mu.Lock(); defer s.mu.Unlock(); f() }

// next is what a test wants to be answered to verb at this time; "" for what is usual.
func (s *server) next(verb string) (reply string) {
	s.count(func() {
		s.verbs = append(s.verbs, verb)
		if list := s.replies[verb]; len(list) > 0 {
			reply, s.replies[verb] = list[0], list[1:]
		}
	})
	return reply
}

func (s *server) talk(conn net.Conn, cfg *tls.Config) {
	s.count(func() { s.asked++ })
	secured := s.implicit
	in := bufio.NewReader(conn)
	verb := "CONNECT"
	for {
		usual := map[string]string{"CONNECT": "220 mail.test", "HELO": "250 mail.test", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", ".": "250 taken", "QUIT": "221 bye", "STARTTLS": "220 go on", "AUTH": "235 ok"}
		reply := s.next(verb)
		switch {
		case reply == "drop":
			conn.Close()
			return
		case reply == "stall":
			in.ReadString(0)
			return
		case reply == "" && verb == "EHLO":
			reply = "250-mail.test\r\n250 STARTTLS"
			if s.plain || secured {
				reply = "250-mail.test\r\n250 AUTH PLAIN"
			}
		case reply == "":
			if reply = usual[verb]; reply == "" {
				reply = "502 what?"
			}
		}
		if _, err := conn.Write([]byte(reply + "\r\n")); err != nil {
			return
		}
		switch {
		case verb == "STARTTLS" && reply[0] == '2':
			conn = tls.Server(conn, cfg)
			in, secured = bufio.NewReader(conn), true
		case verb == "DATA" && reply[0] == '3':
			var text strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			s.count(func() { s.messages, s.secured = append(s.messages, text.String()), secured })
			verb = "."
			continue
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ = strings.Cut(strings.TrimSpace(strings.ToUpper(line)), " ")
	}
}

func selfSigned(t *testing.T, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, IPAddresses: []net.IP{net.ParseIP(host)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// sender is a client of s, changed as a test says.
func (s *server) sender(t *testing.T, change func(*mail.Config)) *mail.SMTP {
	t.Helper()
	cfg := mail.Config{Address: s.address, From: "Commons <commons@app.test>", TLS: &tls.Config{RootCAs: s.roots}, Implicit: s.implicit, Timeout: 3 * time.Second}
	if change != nil {
		change(&cfg)
	}
	m, err := mail.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
