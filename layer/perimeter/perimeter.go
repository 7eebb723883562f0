// Package perimeter leaves an attacker nothing to connect to. The application process opens no listening socket: its Connector
// dials out to the edges, and they send requests back down those connections. This package is the application's half: the Connector,
// and the Verifier, which believes an edge about one request at a time. The edge and what it needs are in the folders beside it:
// edge faces the public, access decides who may pass, link carries requests, enrol knows who belongs to the deployment, assertion
// says who was let in.
//
// # What it assumes has failed
//
// The network and everybody on it. A client may send any bytes at any speed. A process on the application's own machine may
// dial what it likes and may reach the edge's port. Somebody may hold the public certificate's key, or a certificate of any
// authority in the world: neither opens the link, whose ends belong to an authority of this deployment alone.
//
// # What it stops
//
//   - Reaching the application around the edge: there is no port (SYSTEM P1).
//   - Pretending to be an edge or a connector: TLS 1.3, certificates of the deployment's own authority, keys on record (SYSTEM P3).
//   - Claiming an identity or an address in a header; moving what the edge said to another request, link or moment (SYSTEM P5).
//   - Losing requests because an edge, a link or a connector is replaced (SYSTEM P6).
//
// # What it does not stop
//
// A request that is well formed, let in and hostile: the layers within do that. It knows whom the edge let in, and decides nothing by
// it. A stolen signing key together with a stolen link key is believed until they are replaced. An attacker with more bandwidth
// than the edge has wins, as everywhere.
//
// # How it is knocked out in a drill
//
// The Verifier's Handler is left out, or a handler is given requests without one: then transport, identity and the gates stand
// alone, and must hold. Header dropping is tested by sending every forged header through a complete edge.
//
// # Example
//
//	credential, err := enrol.Join(ctx, token, "/var/lib/redoubt/connector.json") // or enrol.Load, from then on
//	verifier, err := perimeter.NewVerifier(perimeter.VerifierConfig{
//		Audience: credential.Application(), Keys: credential.Keys, Refuse: refuse,
//	})
//	connector, err := perimeter.NewConnector(perimeter.ConnectorConfig{Credential: credential, Handler: verifier.Handler(application)})
//	err = connector.Run(ctx)
package perimeter
