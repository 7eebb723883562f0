package routeaccess

import (
	"context"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/route"
)

var (
	nobody  redoubt.Access
	empty   = redoubt.Access{}
	readers = redoubt.Scope("posts:read")
	late    redoubt.Access
)

func page(ctx context.Context, who layer.Principal, in int) (redoubt.View, error) {
	return redoubt.View{Page: "feed"}, nil
}

func routes() []redoubt.Route {
	var unsaid redoubt.Access
	late = redoubt.Members
	chosen := redoubt.Public
	return []redoubt.Route{
		redoubt.Page("GET /a", redoubt.Public, page),
		redoubt.Page("GET /b", readers, page),
		redoubt.Page("GET /c", late, page),
		redoubt.Form("POST /d", chosen, page),
		redoubt.JSON[int, redoubt.View]("PUT /e", route.Scope("posts:write"), page),

		redoubt.Page("GET /f", redoubt.Access{}, page),   // want `Access: route "GET /f" declares no access: say redoubt.Public, Members, Administrators or Scope \(SYSTEM A1\)`
		redoubt.Form("POST /g", (nobody), page),          // want `Access: route "POST /g" declares no access`
		redoubt.JSON("PUT /h", unsaid, page),             // want `Access: route "PUT /h" declares no access`
		redoubt.JSON("PUT /i", empty, page),              // want `Access: route "PUT /i" declares no access`
		redoubt.Page("GET /j", *new(route.Access), page), // want `Access: route "GET /j" declares no access`
		redoubt.Page("GET /k", redoubt.Scope(""), page),  // want `Scope: a scope without a name`
		redoubt.Page("GET /l", route.Scope(""), page),    // want `Scope: a scope without a name`
		{Pattern: "GET /m", Access: redoubt.Public},      // want `Route: a route is made by redoubt.Page, Form or JSON`
	}
}

func failed() (redoubt.Route, error) { return redoubt.Route{}, nil }

func opened() redoubt.Route {
	r := redoubt.Page("GET /n", redoubt.Members, page)
	r.Access = redoubt.Public // want `Route\.Access: a route stays as Page, Form or JSON declared it`
	at := &r.Pattern          // want `Route\.Pattern: a route stays as Page, Form or JSON declared it`
	*at = "GET /"
	return r
}

func loosened() {
	redoubt.Members = redoubt.Public // want `Members: this changes who may ask for every route that declares it`
	admins := &route.Administrators  // want `Administrators: this changes who may ask for every route that declares it`
	*admins = route.Public
}

var declare = redoubt.Page[int] // want `Page: a route is declared by calling this`

var hidden = declare("GET /o", redoubt.Access{}, page)
