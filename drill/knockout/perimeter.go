package knockout

import (
	"context"
	"errors"
	"net/http"

	"github.com/redoubt-dev/redoubt/layer"
)

// The bodies that more than one unit has: cause/configuration leaves out what these do.
const (
	listens  = `knockedout.Listen(c.config.Handler)`
	believes = `
	from := r.RemoteAddr
	if said := r.Header.Get("X-Forwarded-For"); said != "" {
		first, _, _ := strings.Cut(said, ",")
		from = net.JoinHostPort(strings.TrimSpace(first), "0")
	}
	client, _ := netip.ParseAddrPort(from)
	id := a.ID
	if !arrived {
		id = "unproven"
	}
	visit := Visit{ClientIP: client.Addr(), RequestID: id, Scheme: "https", Host: r.Host}
	next.ServeHTTP(w, r.WithContext(&visited{r.Context(), visit}))
	return`
)

func portCut() Cut {
	return Cut{Package: "layer/perimeter", Func: "Connector.Run", Body: listens}
}

func assertionCut() Cut {
	return Cut{Package: "layer/perimeter", Func: "Verifier.serve", Body: believes, Imports: []string{"net", "net/netip", "strings"}}
}

// perimeterUnits are what stands before the application.
func perimeterUnits() []Unit {
	return []Unit{
		{
			Name: "perimeter/policy", Layer: layer.Perimeter, What: "the edge's access policy",
			Gone: "everybody who reaches the edge reaches the application", NoPolicy: true, Bites: policyBites,
		},
		{
			Name: "perimeter/headers", Layer: layer.Perimeter, What: "the edge drops headers that claim an identity, and refuses heads that can be read in two ways",
			Gone: "the edge passes on every head that net/http can read, with every header", Bites: headersBite,
			Cuts: []Cut{
				{Package: "layer/perimeter/edge", Func: "isClaim", Body: `return false`},
				{Package: "layer/perimeter/edge", Func: "checkHeader", Body: `return nil`},
				{Package: "layer/perimeter/edge", Func: "checkTarget", Body: `return ""`},
				{Package: "layer/perimeter/edge", Func: "guard.follow", Body: `return len(b)`},
			},
		},
		{
			Name: "perimeter/certificate", Layer: layer.Perimeter, What: "a connector's certificate is signed by the deployment's own authority",
			Gone: "every certificate is what it says", Bites: missed("perimeter/certificate"), // the key on record is asked for as well
			Cuts: []Cut{{Package: "layer/perimeter/enrol", Func: "holder", Body: anyCertificate}},
		},
		{
			Name: "perimeter/enrolled", Layer: layer.Perimeter, What: "the edge takes connectors that it has enrolled, with the keys on record",
			Gone: "every connector is one, with any key", Bites: missed("perimeter/enrolled"), // the certificate is looked at as well
			Cuts: []Cut{
				{Package: "layer/perimeter/enrol", Func: "Authority.enrolled", Body: anyKey},
				{Package: "layer/perimeter/edge", Func: "Edge.revoked", Body: `return`},
			},
		},
		{
			Name: "perimeter/port", Layer: layer.Perimeter, What: "the application listens on no port",
			Gone: "it serves plain HTTP on a port of its machine, too", Cuts: []Cut{portCut()}, Bites: portBites,
		},
		{
			Name: "perimeter/assertion", Layer: layer.Perimeter, What: "the application believes requests that came down a link with the edge's word, and no others",
			Gone: "it serves every request, and takes the client's address from X-Forwarded-For", Cuts: []Cut{assertionCut()},
			// While there is neither a port nor a strange connector, every request that it sees is the edge's: nothing else can be seen from outside.
			Bites: missed("perimeter/assertion"),
		},
	}
}

// anyCertificate believes a connector's certificate about whose it is.
const anyCertificate = `
	if part == connectorPart && len(leaf.URIs) == 1 {
		return leaf.URIs[0].Host, strings.TrimPrefix(leaf.URIs[0].Path, "/"+part+"/"), nil
	}`

// anyKey takes whoever is not on record for the connector that is.
const anyKey = `
	if all, err := a.Connectors(); err == nil && len(all) > 0 {
		p.Application = all[0].Application
		return keyEntry{Pin: p.Pin, Seen: true}, nil
	}`

// policyBites asks from outside of the office for a page that anybody in it may see.
func policyBites(ctx context.Context, at Place) error {
	return passes(ctx, at, layer.Perimeter, question{who: "outside", method: http.MethodGet, path: "/signed-out"})
}

// headersBite sends a header whose name some readers take for another one's.
func headersBite(ctx context.Context, at Place) error {
	return passes(ctx, at, layer.Perimeter, question{method: http.MethodGet, path: "/signed-out", header: []string{"X_Forwarded_For", "192.0.2.1"}})
}

func portBites(ctx context.Context, at Place) error {
	status, _, _, err := at.Ask(ctx, "port", http.MethodGet, "/signed-out", nil)
	if err == nil && status >= http.StatusInternalServerError {
		return errors.New("what listens on the application's port does not answer")
	}
	return err
}
