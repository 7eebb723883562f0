package acme

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/redoubt-dev/redoubt/layer/perimeter/certificate"
)

// question is what the authority will ask, as the folder keeps it, so that whichever edge is asked can answer.
type question struct {
	Host    string `json:"host"`
	Token   string `json:"token"`
	Answer  string `json:"answer"` // the key authorization (RFC 8555 section 8.1)
	Purpose string `json:"purpose"`
}

const (
	httpPath     = "/.well-known/acme-challenge/"
	alpnProtocol = acmez.ACMETLS1Protocol
	maxToken     = 128
)

func (m *Manager) solvers() map[string]acmez.Solver {
	all := map[string]acmez.Solver{}
	if m.config.HTTP01 {
		all[acme.ChallengeTypeHTTP01] = folderSolver{m, func(c acme.Challenge) string { return digest("http", c.Token) }}
	}
	if m.config.TLSALPN01 {
		all[acme.ChallengeTypeTLSALPN01] = folderSolver{m, func(c acme.Challenge) string { return digest("tls", c.Identifier.Value) }}
	}
	if m.config.DNS01 != nil {
		all[acme.ChallengeTypeDNS01] = dnsSolver{m}
	}
	return all
}

// A folderSolver leaves the answer where every edge finds it.
type folderSolver struct {
	m   *Manager
	key func(acme.Challenge) string
}

func (s folderSolver) Present(_ context.Context, c acme.Challenge) error {
	if s.m.hosts[c.Identifier.Value] == nil || !isToken(c.Token) {
		return errors.New("the authority asks about something else than what was ordered")
	}
	content, err := json.Marshal(question{c.Identifier.Value, c.Token, c.KeyAuthorization, c.Type})
	if err != nil {
		return fmt.Errorf("answering the authority: %w", err)
	}
	if err := s.m.challenges.Put(s.key(c), content, time.Now().Add(challengeLife)); err != nil {
		return fmt.Errorf("answering the authority: %w", err)
	}
	return nil
}

func (s folderSolver) CleanUp(_ context.Context, c acme.Challenge) error {
	return s.m.challenges.Delete(s.key(c))
}

// isToken reports whether s is one that an authority may choose (RFC 8555 section 8.1).
func isToken(s string) bool {
	return s != "" && len(s) <= maxToken && !strings.ContainsFunc(s, func(c rune) bool {
		return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	})
}

func (m *Manager) question(key, purpose string) (question, error) {
	var q question
	content, err := m.challenges.Get(key)
	if err == nil {
		err = json.Unmarshal(content, &q)
	}
	if err != nil || q.Purpose != purpose {
		return question{}, errors.New("nobody has asked for this host")
	}
	return q, nil
}

// HTTPHandler answers the authority on the plain port, and gives everything else to next.
func (m *Manager) HTTPHandler(next http.Handler) http.Handler {
	if !m.config.HTTP01 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.URL.Path, httpPath)
		if !ok || r.Method != http.MethodGet || !isToken(token) {
			next.ServeHTTP(w, r)
			return
		}
		q, err := m.question(digest("http", token), acme.ChallengeTypeHTTP01)
		// The answer to one host is not given under another's name: that name may be an attacker's, who has it lead here.
		if err != nil || q.Token != token || q.Host != certificate.Name(withoutPort(r.Host)) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Write([]byte(q.Answer)) // an authority that went away asks again
	})
}

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// NextProtos is what the edge must offer in its handshakes beside its own protocols. A connection on which it is agreed has served its
// purpose when the handshake is done, and is to be closed (RFC 8737 section 3).
func (m *Manager) NextProtos() []string {
	if !m.config.TLSALPN01 {
		return nil
	}
	return []string{alpnProtocol}
}

// isQuestion reports whether a handshake is an authority's: it offers this one protocol and nothing else (RFC 8737 section 3).
func isQuestion(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == alpnProtocol
}

// answerTLS makes the certificate that convinces the authority. It is for nothing else: it is signed by nobody, and marked.
func (m *Manager) answerTLS(h *host) (*tls.Certificate, error) {
	if h == nil || !m.config.TLSALPN01 {
		return nil, nil
	}
	q, err := m.question(digest("tls", h.name), acme.ChallengeTypeTLSALPN01)
	if err != nil || q.Host != h.name {
		return nil, errors.New("nobody has asked for this host")
	}
	c, err := acmez.TLSALPN01ChallengeCert(acme.Challenge{KeyAuthorization: q.Answer, Identifier: acme.Identifier{Type: "dns", Value: q.Host}})
	if err != nil {
		return nil, fmt.Errorf("answering the authority: %w", err)
	}
	return c, nil
}
