// Package edge is the public side of the perimeter: the only part of Redoubt that listens. Browsers reach it by HTTP/1.1 and HTTP/2 with
// TLS; connectors reach it on the same port, told apart by ALPN before anything else is decided, and keep links on which requests
// travel inwards. For each request it asks the gate who may pass, and sends what may pass down the least busy link of its application.
//
// A request is read once. What two readers could understand differently is refused; what ends at the edge (hop-by-hop headers, those that
// Connection names, the edge's own cookie) is removed; what claims who somebody is or where he comes from is removed; and the head that is
// left travels as one length-prefixed record, so that nobody parses its text again.
//
// # What it assumes has failed
//
// Every client is hostile, and there are very many of them: they send any bytes, at any speed, and then nothing. Connectors die in the
// middle of a request. An application answers nonsense, or never. The disk with the access log is full.
//
// # What it stops
//
//   - Request smuggling, ambiguous paths and hosts, headers that claim an identity or an address (SYSTEM P5, P6).
//   - Requests that the policy does not let in, and those that it lets in no longer while they last (SYSTEM P4).
//   - Slow clients, at every stage of a connection; crowds of idle ones, who lock nobody out (SYSTEM P6, T6).
//   - Doing a thing twice: a request is sent again only where nothing of it can have been done (SYSTEM P6).
//   - A connector that was revoked, or whose certificate has ended (SYSTEM P3).
//
// # What it does not stop
//
// A request that is well formed, allowed, and hostile: the layers within do that. An attacker with more bandwidth than the edge, or more
// addresses than the edge has places, can make others wait. WebSockets work over HTTP/1.1 alone: net/http gives servers no extended CONNECT
// (RFC 8441), and browsers fall back by themselves.
//
// # How it is knocked out in a drill
//
// A gate that admits everybody stands in for its own: the assertion, and the application's own gates, must hold. Header dropping is tested by
// sending every forged header through a complete edge.
//
// # Example
//
//	e, err := edge.New(edge.Config{
//		Applications:   []edge.Application{{Name: "wiki", Origin: "https://wiki.example"}},
//		Gate:           guard, Signer: signer, Authority: authority,
//		GetCertificate: certificates.GetCertificate,
//	})
//	go http.Serve(loopback, e.Operator())
//	err = e.Serve(ctx, public, plain)
package edge
