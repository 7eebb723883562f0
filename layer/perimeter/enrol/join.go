package enrol

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// Join redeems a token; the credential is kept in file if that is not empty. It tries the edges in turn until one answers.
func Join(ctx context.Context, token, file string) (*Credential, error) {
	return join(ctx, token, file, time.Now)
}

func join(ctx context.Context, token, file string, now func() time.Time) (*Credential, error) {
	i, err := parseToken(token)
	if err != nil {
		return nil, fmt.Errorf("joining: %w", err)
	}
	if file != "" {
		if err := writable(file); err != nil { // before the invitation is spent
			return nil, fmt.Errorf("joining: %w", err)
		}
	}
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("joining: %w", err)
	}
	var deployment string
	t := base(Protocol)
	t.InsecureSkipVerify = true // no public authority is asked, nor a host's name; VerifyConnection compares the pinned key
	t.VerifyConnection = func(s tls.ConnectionState) (err error) {
		deployment, err = edgeOf(s, Protocol, i.pins, "", now())
		return err
	}
	a, err := askAny(ctx, i.edges, t, func(bound []byte) (request, error) { return i.redeem(key, bound) })
	if err != nil {
		return nil, fmt.Errorf("joining: %w", err)
	}
	if !slices.ContainsFunc(a.Authorities, func(p Pin) bool { return pinned(i.pins, p) }) || a.Application != i.application {
		return nil, errors.New("joining: the edge's answer is for another deployment or application")
	}
	c, err := newCredential(file, key, a, now)
	if err != nil {
		return nil, fmt.Errorf("joining (the invitation is spent): %w", err)
	}
	if c.s.Deployment != deployment {
		return nil, errors.New("joining: the edge's answer is for another deployment or application")
	}
	return c, nil
}

// redeem asks to be enrolled, with a key that is bound to this connection: who took the message from another one could do nothing.
func (i *invitation) redeem(key *ecdsa.PrivateKey, bound []byte) (q request, err error) {
	q.Ask, q.Secret = askJoin, i.secret[:]
	if q.Key, err = spki(key.Public()); err != nil {
		return q, err
	}
	q.Proof, err = ecdsa.SignASN1(rand.Reader, key, proof(askJoin, bound, q.Secret, q.Key))
	return q, err
}

// Renew asks the edges for a new certificate on a connection of its own: for one that ended while no link was up. Only within Grace.
func (c *Credential) Renew(ctx context.Context) error {
	a, err := askAny(ctx, c.Edges(), c.tls(Protocol), func(bound []byte) (request, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.renewal(bound)
	})
	if err == nil {
		c.mu.Lock()
		err = c.take(a)
		c.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("renewing the certificate: %w", err)
	}
	return nil
}

// askAny asks the edges in turn. They share a folder: what one has decided, no other is asked again. Only one that cannot be reached, or
// is none of ours, or cannot at the moment, is passed over.
func askAny(ctx context.Context, edges []string, t *tls.Config, q func(bound []byte) (request, error)) (answer, error) {
	var problems []error
	for _, e := range edges {
		a, err := ask(ctx, e, t, q)
		if err == nil || errors.Is(err, ErrRefused) {
			return a, err
		}
		problems = append(problems, fmt.Errorf("asking %s: %w", e, err))
	}
	return answer{}, errors.Join(problems...)
}

func ask(ctx context.Context, edge string, t *tls.Config, q func(bound []byte) (request, error)) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, Conversation)
	defer cancel()
	t = t.Clone()
	t.ServerName, _, _ = net.SplitHostPort(edge) // for those on the way who choose by it
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", edge)
	if err != nil {
		return answer{}, err
	}
	conn := tls.Client(raw, t)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if err := conn.HandshakeContext(ctx); err != nil { // in it, VerifyConnection has the edge's key before anything is said
		return answer{}, err
	}
	bound, err := session(conn.ConnectionState())
	if err != nil {
		return answer{}, err
	}
	message, err := q(bound)
	if err != nil {
		return answer{}, err
	}
	if err := send(conn, message); err != nil {
		return answer{}, err
	}
	b, err := receive(conn)
	if err != nil {
		return answer{}, err
	}
	a, err := parseAnswer(b)
	switch {
	case err != nil:
		return answer{}, err
	case a.Is == isRefused:
		return answer{}, ErrRefused
	case a.Is == isLater:
		return answer{}, ErrLater
	case len(a.Certificate) == 0:
		return answer{}, errors.New("the edge's answer holds no certificate")
	}
	return a, nil
}
