package enrol

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

// exporterLabel binds a proof to one TLS connection (RFC 8446 section 7.5): what was captured on one is worth nothing on another.
const exporterLabel = "EXPORTER-redoubt-enrol-1"

func session(s tls.ConnectionState) ([]byte, error) {
	key, err := s.ExportKeyingMaterial(exporterLabel, nil, 32)
	if err != nil {
		return nil, fmt.Errorf("binding to the connection: %w", err)
	}
	return key, nil
}

// A pending invitation is what the folder knows of one: its key there is the hash of its secret.
type pending struct {
	Application string    `json:"application"`
	Edges       []string  `json:"edges"`
	Until       time.Time `json:"until"`
}

// Invite makes a token with which one connector can enrol, once, within InvitationLife. edges are addresses to dial. The token is a
// secret.
func (a *Authority) Invite(application string, edges []string) (token string, err error) {
	r, err := a.record()
	if err != nil {
		return "", fmt.Errorf("inviting: %w", err)
	}
	i, err := newInvitation(r.pins(), application, edges)
	if err != nil {
		return "", fmt.Errorf("inviting: %w", err)
	}
	content, err := json.Marshal(pending{application, edges, a.now().Add(InvitationLife)})
	if err == nil {
		err = a.invitations.Create(i.key(), content, time.Now().Add(InvitationLife))
	}
	if errors.Is(err, state.ErrFull) {
		err = fmt.Errorf("%d invitations are unused: wait until they end", MaxInvitations)
	}
	if err != nil {
		return "", fmt.Errorf("inviting: %w", err)
	}
	return i.token(), nil
}

// errRefusal is a refusal: the peer is told that it is one, and not why.
type errRefusal struct{ why string }

func (e errRefusal) Error() string { return e.why }

// Enrol serves one connection of Protocol, and closes it.
func (a *Authority) Enrol(ctx context.Context, conn *tls.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	client, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	select {
	case a.places <- struct{}{}:
		defer func() { <-a.places }()
	default:
		return // it comes again
	}
	if !a.attempts.allow(client) {
		send(conn, answer{Is: isLater})
		return
	}
	reply, id, err := a.converse(conn)
	switch {
	case errors.As(err, &errRefusal{}):
		a.log.Warn("enrolment refused", "client", client, "reason", err.Error())
		reply = answer{Is: isRefused}
	case err != nil:
		a.log.Error("enrolling", "client", client, "error", err.Error())
		reply = answer{Is: isLater}
	default:
		a.log.Info("connector certified", "client", client, "connector", id, "application", reply.Application)
	}
	send(conn, reply)
}

func (a *Authority) converse(conn *tls.Conn) (answer, string, error) {
	s := conn.ConnectionState()
	if s.NegotiatedProtocol != Protocol {
		return answer{}, "", errRefusal{"the connection is for something else"}
	}
	b, err := receive(conn)
	if err != nil {
		return answer{}, "", errRefusal{"no message came"}
	}
	q, err := parseRequest(b)
	if err != nil {
		return answer{}, "", errRefusal{err.Error()}
	}
	bound, err := session(s)
	if err != nil {
		return answer{}, "", err
	}
	switch q.Ask {
	case askJoin:
		return a.join(q, bound)
	case askRenew:
		return a.late(q, s, bound)
	}
	return answer{}, "", errRefusal{"the message is for a link"}
}

// join redeems an invitation. The connector is recorded first and the invitation taken then: if the disk is full nothing is lost, and
// of several who come with one invitation, one gets it and the others' records go.
func (a *Authority) join(q request, bound []byte) (answer, string, error) {
	public, pin, err := proven(q, proof(askJoin, bound, q.Secret, q.Key))
	if err != nil {
		return answer{}, "", err
	}
	i := invitation{secret: [secretSize]byte(q.Secret)}
	content, err := a.invitations.Get(i.key())
	if errors.Is(err, state.ErrNone) {
		return answer{}, "", errRefusal{"the invitation is unknown, used or over"}
	}
	if err != nil {
		return answer{}, "", err
	}
	var p pending
	if err := json.Unmarshal(content, &p); err != nil || !a.now().Before(p.Until) {
		return answer{}, "", errRefusal{"the invitation is over"}
	}
	r, err := a.record()
	if err != nil {
		return answer{}, "", err
	}
	id, certificate, err := a.enrol(r, public, pin, p.Application, p.Edges)
	if err != nil {
		return answer{}, "", err
	}
	if _, err := a.invitations.Take(i.key()); err != nil {
		a.connectors.Delete(id)
		a.forget(id)
		if errors.Is(err, state.ErrNone) {
			err = errRefusal{"the invitation was used at the same moment"}
		}
		return answer{}, "", err
	}
	return a.news(r, connectorEntry{p.Application, p.Edges}, certificate), id, nil
}

// late renews a certificate that ended a while ago, for the key that is in it: nothing else than this is open to it.
func (a *Authority) late(q request, s tls.ConnectionState, bound []byte) (answer, string, error) {
	p, found, err := a.identify(s, Grace)
	if err != nil {
		return answer{}, "", errRefusal{err.Error()}
	}
	all, err := a.keysOf()
	if err != nil {
		return answer{}, "", err
	}
	for _, other := range all[p.ID] {
		if other.Number > found.key.Number && other.Seen {
			return answer{}, "", errRefusal{"the connector has used a later key: this one may be a copy"}
		}
	}
	reply, err := a.renew(q, p, proof(askRenew, bound, q.Key))
	return reply, p.ID, err
}

// proven checks that whoever asks for a certificate has the key, here and now.
func proven(q request, digest []byte) (*ecdsa.PublicKey, Pin, error) {
	public, err := parseSPKI(q.Key)
	if err != nil {
		return nil, Pin{}, errRefusal{err.Error()}
	}
	if !ecdsa.VerifyASN1(public, digest, q.Proof) {
		return nil, Pin{}, errRefusal{"the key's proof is for another connection, or of another key"}
	}
	return public, sha256.Sum256(q.Key), nil
}

// news is what a connector is told whenever it asks.
func (a *Authority) news(r *record, c connectorEntry, certificate []byte) answer {
	edges := r.edges
	if len(edges) == 0 {
		edges = c.Edges
	}
	return answer{
		Is: isDone, Application: c.Application, Certificate: certificate,
		Authorities: r.pins(), Keys: toPublic(r.keys(a.now())), Edges: edges,
	}
}

// Provision enrols a connector without a token or a network: for an application that the same person runs on the same machine.
func (a *Authority) Provision(application string, edges []string) (*Credential, error) {
	if err := errors.Join(checkApplication(application), checkEdges(edges)); err != nil {
		return nil, fmt.Errorf("provisioning a connector: %w", err)
	}
	r, err := a.record()
	if err != nil {
		return nil, fmt.Errorf("provisioning a connector: %w", err)
	}
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("provisioning a connector: %w", err)
	}
	public, err := spki(key.Public())
	if err != nil {
		return nil, fmt.Errorf("provisioning a connector: %w", err)
	}
	id, certificate, err := a.enrol(r, key.Public(), sha256.Sum256(public), application, edges)
	if err != nil {
		return nil, fmt.Errorf("provisioning a connector: %w", err)
	}
	c, err := newCredential("", key, a.news(r, connectorEntry{application, edges}, certificate), a.now)
	if err != nil {
		return nil, fmt.Errorf("provisioning a connector: %w", err)
	}
	a.log.Info("connector provisioned", "connector", id, "application", application)
	return c, nil
}
