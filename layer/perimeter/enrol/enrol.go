// Package enrol decides which connectors belong to a deployment, and lets a connector know its edges from all others. A deployment has
// an authority of its own, made in the folder that its edges share; no other authority in the world is believed. A connector is taken
// in once, with an invitation, and from then on is known by a key, which it replaces by itself every day or so.
//
// The edge lets a connector link if its certificate is of the deployment's authority, in force, for a connector, and in the name of
// one that is enrolled, and if the key in it is one that the edge has on record for that name. A connector takes an edge if the
// authority's key is one that it has pinned. The dates of the authority itself say nothing: what ends it is Rotate, which a person does
// in two steps, so that every connector has heard of the next key before it counts.
//
// A certificate that ended opens no link. For Grace, though, its key may ask for a new one on a connection of Protocol: an edge that was
// off for three days would otherwise leave every connector to be invited by hand. Only a connector's newest key may do that, and the
// connector must still be enrolled; so an old copy of its credential is worth nothing there, and a stolen new one is ended by Revoke.
//
// # What it assumes has failed
//
// The network: somebody stands in the middle and has certificates of every public authority. Somebody has read an old invitation, or
// copied a credential of last week. A process, between any two system calls; the disk is full; several processes do the same at once.
// A clock that is wrong for a while.
//
// # What it stops
//
//   - Linking without having been invited; with another's name, another's key, a certificate of an edge, or one that ended (SYSTEM P1, P3).
//   - Pretending to be an edge: a connector says its invitation's secret only after it has seen the authority's key.
//   - Using an invitation twice, late, or at another deployment; guessing one.
//   - A connector that was revoked: refused at once by every edge that shares the folder, its links ended within RevocationDelay.
//   - Losing requests while keys are replaced: two authorities and two keys for assertions are believed meanwhile (SYSTEM P3, P6).
//
// # What it does not stop
//
// Whoever reads the edges' folder has the authority's key and can enrol whom they like: Rotate once they are out. Whoever copies a
// connector's credential today is that connector until it is revoked. An edge whose clock is wrong refuses everybody, and takes them
// again once it is right; if it runs fast while a rotation is finished, connectors may look as if they had ended and are left behind.
//
// # How it is knocked out in a drill
//
// A certificate of the authority in the name of no connector, or with a key that is not on record, is what a thief of the authority's
// key makes: the drill presents both, and then removes a connector's entry from the folder while its link is up.
//
// # Example
//
//	authority, err := enrol.Open(folder, "edge-1")
//	token, err := authority.Invite("wiki", []string{"edge.example:443"})
//
//	credential, err := enrol.Join(ctx, token, "/var/lib/wiki/credential.json")
package enrol

import "time"

// Protocol is the ALPN name (RFC 7301) of a connection on which a connector is enrolled.
const Protocol = "redoubt-enrol/1"

// Limits, and how long things live.
const (
	CertificateLife = 48 * time.Hour     // of a connector's certificate, and of an edge's
	Grace           = 7 * 24 * time.Hour // after a certificate ended, for its key to ask for another, and for nothing else
	InvitationLife  = 15 * time.Minute
	ClockSkew       = 5 * time.Minute  // by which a certificate is in force before it was issued: somebody's clock is behind
	FormerLife      = 10 * time.Minute // in which the key that a rotation replaced is still believed: twice a token's life
	RevocationDelay = time.Second      // in which a Watch tells of it

	MaxConnectors  = 1024
	MaxInvitations = 256     // unused ones
	MaxEdges       = 16      // addresses
	MaxApplication = 64      // bytes of an application's name
	MaxAddress     = 255     // bytes of an edge's address
	MaxToken       = 8 << 10 // bytes of an invitation
	MaxCredential  = 64 << 10

	MaxMessage   = 16 << 10         // bytes of a message, either way
	Conversation = 10 * time.Second // for a connection of Protocol, from its handshake to its end

	enrolments = 32                     // at once, on one edge
	keysEach   = 4                      // of a connector's keys that are on record: those of its last certificates
	callers    = 1024                   // addresses whose attempts are counted apart
	burst      = 40                     // attempts from one address before they are slowed down
	every      = 2 * time.Second        // thereafter
	reload     = 200 * time.Millisecond // after which an edge looks whether the authority was changed by another
	tellings   = 10                     // of one revocation
)

// A Peer is an enrolled connector.
type Peer struct {
	ID          string // unique in the deployment
	Application string // which requests it takes
	Pin         Pin    // of the key that it presented
	Expires     time.Time
}
