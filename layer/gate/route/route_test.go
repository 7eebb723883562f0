package route_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/route"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

func made(f mint.Facts) layer.Principal { return mint.Principal(f).(layer.Principal) }

var (
	nobody        = layer.Principal{}
	member        = made(mint.Facts{Kind: "session", Scopes: []string{"posts:read"}})
	administrator = made(mint.Facts{Kind: "session", Administrator: true, Scopes: []string{"posts:read", "members:read"}})
	key           = made(mint.Facts{Kind: "api-key", Scopes: []string{"posts:read"}})
	adminKey      = made(mint.Facts{Kind: "api-key", Administrator: true, Scopes: []string{"members:read"}})
	bare          = made(mint.Facts{Kind: "session"})
	bareKey       = made(mint.Facts{Kind: "api-key"})
)

func TestWhoPasses(t *testing.T) { // SYSTEM A1, A4
	var g route.Gate
	for pattern, access := range map[string]route.Access{"public": route.Public, "members": route.Members, "administrators": route.Administrators, "scope": route.Scope("posts:read"), "with": route.MembersWith("posts:read")} {
		if err := g.Declare(pattern, access); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		pattern string
		who     layer.Principal
		name    string
		want    layer.Reason // empty passes
	}{
		{"public", nobody, "a stranger", ""},
		{"public", member, "a member", ""},
		{"public", bareKey, "a key without scopes", ""},
		{"members", nobody, "a stranger", layer.Unauthenticated},
		{"members", member, "a member", ""},
		{"members", administrator, "an administrator", ""},
		{"members", key, "a key", layer.Forbidden},
		{"administrators", nobody, "a stranger", layer.Unauthenticated},
		{"administrators", member, "a member, who need not know", layer.NotFound},
		{"administrators", administrator, "an administrator", ""},
		{"administrators", adminKey, "an administrator's key", layer.Forbidden},
		{"scope", nobody, "a stranger", layer.Unauthenticated},
		{"scope", member, "a member whose role has it", ""},
		{"scope", key, "a key that was given it", ""},
		{"scope", bareKey, "a key that was not", layer.Forbidden},
		{"scope", adminKey, "an administrator's key that was not", layer.Forbidden},
		{"with", nobody, "a stranger", layer.Unauthenticated},
		{"with", member, "a member whose role has it", ""},
		{"with", bare, "a member whose role does not, and who need not know", layer.NotFound},
		{"with", key, "a key that was given it", layer.Forbidden},
		{"undeclared", nobody, "a stranger", layer.Forbidden},
		{"undeclared", administrator, "an administrator", layer.Forbidden},
	}
	for _, c := range cases {
		err := g.Check(c.pattern, c.who)
		var r *layer.Refusal
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %s: %v", c.pattern, c.name, err)
		case c.want != "" && (!errors.As(err, &r) || r.By != layer.GateRoute || r.Reason != c.want || r.Public == ""):
			t.Errorf("%s: %s: got %v, want %s", c.pattern, c.name, err, c.want)
		}
	}
}

func TestADeclarationIsComplete(t *testing.T) { // SYSTEM A1
	var g route.Gate
	for name, c := range map[string]struct {
		access route.Access
		want   string
	}{
		"no access":       {route.Access{}, "declares no access"},
		"an empty scope":  {route.Scope(""), "declares no access"},
		"with no scope":   {route.MembersWith(""), "declares no access"},
		"public":          {route.Public, ""},
		"public, again":   {route.Public, ""},
		"a scope":         {route.Scope("a:b"), ""},
		"administrators":  {route.Administrators, ""},
		"members, at all": {route.Members, ""},
	} {
		err := g.Declare(name, c.access)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if err := g.Declare("a scope", route.Public); err == nil || !strings.Contains(err.Error(), "declared twice") {
		t.Errorf("got %v for a second declaration", err)
	}
	all := g.Declared()
	if len(all) != 5 || all[0].Pattern != "a scope" || all[0].Access.String() != "scope a:b" {
		t.Errorf("got %v", all)
	}
}
