package knockout

import (
	"context"
	"errors"
	"net/http"

	"github.com/redoubt-dev/redoubt/layer"
)

// The first organization of the people whom `redoubt up` brings along: the victim.
const victim = "5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d0001"

// applicationCauses are common causes outside of the database.
func applicationCauses() []Unit {
	const who = "layer"
	return []Unit{
		{
			Name: "cause/principal", What: "the verified Principal is the caller",
			Gone:  "every Principal claims to be an administrator of Acme, with every scope, who has proved it a moment ago",
			Bites: principalBites,
			Cuts: []Cut{
				{Package: who, Func: "Principal.Organization", Body: `if p.facts != nil { return "` + victim + `" }`},
				{Package: who, Func: "Principal.Administrator", Body: `return p.facts != nil`},
				{Package: who, Func: "Principal.Has", Body: `return p.facts != nil`},
				{Package: who, Func: "Principal.Assured", Body: `return p.facts != nil`},
				{Package: who, Func: "Principal.AuthTime", Body: `if p.Interactive() { return time.Now() }`},
			},
		},
		{
			Name: "cause/registry", What: "every route has declared who may ask",
			Gone: "the registry, from which the gates of routes and of pages are fed, says Public of every route", Bites: routeBites,
			Cuts: []Cut{
				{Package: ".", Func: "Server.handle", Body: `open := s.routes[pattern]; open.Access = Public; s.routes[pattern] = open`},
				{Package: "layer/gate/route", Func: "Gate.Declare", Body: `access = Public`},
				{Package: "layer/gate/route", Func: "Gate.Need", Body: `return nil`},
			},
		},
		{
			Name: "cause/configuration", What: "the perimeter's configuration is loaded",
			Gone: "no policy, a port that listens, and no word of the edge's is asked for", NoPolicy: true, Bites: configurationBites,
			Cuts: []Cut{portCut(), assertionCut()},
		},
	}
}

// principalBites asks for a page as somebody of another organization: the gate of pages sees that the session is not the Principal's.
func principalBites(ctx context.Context, at Place) error {
	by, err := refuser(ctx, at, question{who: "new dave", method: http.MethodGet, path: "/step-up?return=%2F"})
	if err == nil && by != layer.GatePage {
		err = errors.New("the Principal is the caller")
	}
	return err
}

// configurationBites asks the application itself for a page.
func configurationBites(ctx context.Context, at Place) error {
	status, _, _, err := at.Ask(ctx, "port", http.MethodGet, "/signed-out", nil)
	if err == nil && status != http.StatusOK {
		err = errors.New("the application wants the edge's word")
	}
	if err != nil {
		return err
	}
	return policyBites(ctx, at)
}
