// Package commons is the reference application: communities that teach and sell, each organization for itself. It is written only
// against the public packages, to show how an application on Redoubt reads, and to be attacked.
package commons

import (
	"context"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/commons/account"
	"github.com/redoubt-dev/redoubt/commons/attachment"
	"github.com/redoubt-dev/redoubt/commons/bookmark"
	"github.com/redoubt-dev/redoubt/commons/community"
	"github.com/redoubt-dev/redoubt/commons/course"
	"github.com/redoubt-dev/redoubt/commons/directory"
	"github.com/redoubt-dev/redoubt/commons/organization"
	"github.com/redoubt-dev/redoubt/commons/shop"
	"github.com/redoubt-dev/redoubt/commons/web"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/input/egress"
	"github.com/redoubt-dev/redoubt/layer/input/egress/unfurl"
)

// App is Commons, as it declares itself.
var App = redoubt.App{
	Name:    "Commons",
	Version: "1",
	Schema: []migrate.Line{
		{Name: "account", Files: account.Schema, Application: true},
		{Name: "attachment", Files: attachment.Schema, Application: true},
		{Name: "community", Files: community.Schema, Application: true},
		{Name: "course", Files: course.Schema, Application: true},
		{Name: "bookmark", Files: bookmark.Schema, Application: true},
		{Name: "shop", Files: shop.Schema, Application: true},
	},
	Scopes: identity.Scopes{
		Member: []string{
			"profile:read", "profile:write", "files:read", "files:write", "sessions:write", "keys:write",
			"posts:read", "posts:write", "comments:read", "comments:write",
			"courses:read", "progress:write", "bookmarks:read", "bookmarks:write",
			"products:read", "orders:read", "orders:write",
		},
		Owner: []string{
			"members:read", "members:write", "members:invite", "roles:write", "organization:write",
			"posts:moderate", "courses:write", "products:write", "orders:read-all", "orders:manage",
		},
		Admin: []string{"members:read", "members:write", "members:invite", "roles:write", "posts:moderate", "courses:write", "products:write", "orders:read-all"},
		Guest: []string{"profile:read", "profile:write", "files:read", "files:write", "sessions:write", "posts:read", "comments:read", "courses:read", "products:read"},
		Grantable: []string{
			"posts:write", "comments:write", "posts:moderate", "progress:write", "bookmarks:read", "bookmarks:write", "courses:write",
			"products:write", "orders:read", "orders:write", "orders:read-all", "orders:manage", "members:read", "members:invite",
		},
		Administrator: []string{"members:read", "members:write", "members:invite", "roles:write", "organization:write", "members:erase", "audit:read", "machines:write", "endpoints:write", "scim:manage", "posts:moderate", "courses:write", "products:write", "orders:read-all", "orders:manage"},
	},
	Start:      start,
	Onboarding: "/onboarding",
	Example:    example,
	ExampleAge: exampleAge,
}

func start(p redoubt.Parts) (redoubt.Routes, error) {
	site, err := web.New()
	if err != nil {
		return redoubt.Routes{}, err
	}
	routes := redoubt.Routes{Pages: site, Assets: site.Assets()}
	routes.Routes = append(routes.Routes, attachment.New(p.Files).Routes()...)
	routes.Routes = append(routes.Routes, community.New(p.DB, p.Files, look(p.Links)).Routes()...)
	routes.Routes = append(routes.Routes, course.New(p.DB, p.Files).Routes()...)
	routes.Routes = append(routes.Routes, bookmark.New(p.DB).Routes()...)
	routes.Routes = append(routes.Routes, shop.New(p.DB).Routes()...)
	org, err := organization.New(p)
	if err != nil {
		return redoubt.Routes{}, err
	}
	routes.Routes = append(routes.Routes, org.Routes()...)
	routes.Routes = append(routes.Routes, directory.New(p).Routes()...)
	routes.Routes = append(routes.Routes, account.New(p.DB, p.Identity, p.Files, p.Provider).Routes()...)
	return routes, nil
}

// look says what is behind a link, if anything may be asked.
func look(links *egress.Client) community.Look {
	if links == nil {
		return nil
	}
	return func(ctx context.Context, link string) (unfurl.Preview, error) { return unfurl.Read(ctx, links, link) }
}
