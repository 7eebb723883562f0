// Package perimeter leaves an attacker nothing to connect to. The application process opens no listening socket: its Connector
// dials out to an Edge, and the Edge sends requests back down that connection. The Edge alone speaks to the public; it refuses
// what could be read in two ways, drops whatever a client claims about itself, and signs each request that it lets through.
// The application's Verifier believes that signature for that one request and nothing else.
//
// # What it assumes has failed
//
// The network and everybody on it. A client may send any bytes at any speed. A process on the application's own machine may
// dial what it likes and may reach the edge's port. Somebody may hold the public certificate's key, or a certificate of any
// authority in the world: neither opens the link, which is pinned by key.
//
// # What it stops
//
//   - Reaching the application around the edge: there is no port (SYSTEM P1).
//   - Pretending to be the edge or a connector: TLS 1.3, both ends pinned by key, no authority involved (SYSTEM P3).
//   - Claiming an identity or an address in a header; using an assertion for another request, a second time, or late (SYSTEM P5).
//   - Request smuggling, ambiguous paths and hosts, oversized heads and bodies, slow clients (SYSTEM P6, T6).
//
// Every limit is a named constant in limits.go or a field of a Config. A request that needs an Upgrade, such as a WebSocket, is
// answered with 501: HTTP/2, which the link speaks, has no Upgrade. Server-sent events and streams in both directions pass.
// What an application may do that takes long must begin its answer within ResponseHeaderTimeout.
//
// An assertion costs the edge about 60 µs and the application about 135 µs of one core for each request (BenchmarkSign,
// BenchmarkVerify, on a busy machine of two cores): a core of the application takes some seven thousand requests a second at
// the most. Nothing is cached, because an assertion names one request only.
//
// The link is net/http's HTTP/2 with the roles turned around. A request that a draining connector no longer took, and that is
// not a GET or HEAD without a body, is answered with 502 if any of it was sent, because nobody can say whether it took effect.
//
// # What it does not stop
//
// A request that is well formed and hostile: the layers within do that. It does not know who the person is. A stolen assertion
// key or link key is believed until it is replaced. Replay is remembered by one Verifier: two processes of an application each
// accept an assertion once. An attacker with more bandwidth than the edge has wins, as everywhere.
//
// # How it is knocked out in a drill
//
// The Verifier's Handler is left out, or a handler is given requests without one: then transport, identity and the gates stand
// alone, and must hold. Header dropping is tested by sending every forged header through a complete edge.
//
// # Example
//
//	keys, err := provision.Open("/var/lib/redoubt", nil)
//	edge, err := perimeter.NewEdge(perimeter.EdgeConfig{
//		Origin: "https://localhost:8443", Audience: "commons",
//		Signer: keys.Edge.Signer, Link: keys.Edge.Link, Connectors: keys.Edge.Connectors,
//		GetCertificate: keys.Edge.GetCertificate,
//	})
//	go edge.Serve(ctx, public, plain)
//
//	verifier, err := perimeter.NewVerifier(perimeter.VerifierConfig{
//		Audience: "commons", Keys: keys.Application.Verify, Refuse: refuse,
//	})
//	connector, err := perimeter.NewConnector(perimeter.ConnectorConfig{
//		Edge: "127.0.0.1:8443", Certificate: keys.Application.Link, EdgeKeys: keys.Application.Edge,
//		Handler: verifier.Handler(application),
//	})
//	err = connector.Run(ctx)
package perimeter
