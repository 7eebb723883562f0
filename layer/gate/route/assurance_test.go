package route_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/route"
	"github.com/redoubt-dev/redoubt/layer/internal/mint"
)

// declared is a gate whose one route has this access and asks for this proof.
func declared(t *testing.T, access route.Access, needs layer.Assurance) *route.Gate {
	t.Helper()
	g := &route.Gate{}
	if err := errors.Join(g.Declare("it", access), g.Need("it", needs)); err != nil {
		t.Fatal(err)
	}
	return g
}

// by is a session whose person proved who they are so long ago, at these levels.
func by(ago time.Duration, levels ...string) layer.Principal {
	return made(mint.Facts{Kind: "session", Scopes: []string{"posts:read"}, AuthTime: time.Now().Add(-ago), Assurance: levels})
}

func TestAProofMustBeRecentAndStrongEnough(t *testing.T) { // SYSTEM I6
	const within = 5 * time.Minute
	fresh := layer.Assurance{Within: within}
	strong := layer.Assurance{Level: "mfa"}
	both := layer.Assurance{Within: within, Level: "mfa", Keys: true}
	synctest.Test(t, func(t *testing.T) { // so that "at the limit" is the limit
		for _, c := range []struct {
			name   string
			access route.Access
			needs  layer.Assurance
			who    layer.Principal
			want   layer.Reason // empty passes
		}{
			{"a proof of this moment", route.Members, fresh, by(0), ""},
			{"a proof at the limit", route.Members, fresh, by(within), ""},
			{"a proof beyond the limit", route.Members, fresh, by(within + time.Nanosecond), layer.Unproven},
			{"a proof of no known time", route.Members, fresh, made(mint.Facts{Kind: "session"}), layer.Unproven},
			{"a proof at the beginning of Unix time, which is how no time reads in a claim", route.Members, fresh, made(mint.Facts{Kind: "session", AuthTime: time.Unix(0, 0)}), layer.Unproven},
			{"a proof by a clock that is ahead as far as sign-on forgives", route.Members, fresh, by(-time.Minute), ""},
			{"a proof in the future, which would be fresh for long", route.Members, fresh, by(-time.Minute - time.Nanosecond), layer.Unproven},
			{"an old proof, where none is asked for", route.Members, layer.Assurance{}, by(time.Hour), ""},
			{"the level that is needed", route.Members, strong, by(time.Hour, "pwd", "mfa"), ""},
			{"another level", route.Members, strong, by(0, "pwd"), layer.Unproven},
			{"a level that begins the same", route.Members, strong, by(0, "mfa2", "mf"), layer.Unproven},
			{"no level", route.Members, strong, by(0), layer.Unproven},
			{"both", route.Scope("posts:read"), both, by(0, "mfa"), ""},
			{"strong and old", route.Scope("posts:read"), both, by(time.Hour, "mfa"), layer.Unproven},
			{"fresh and weak", route.Scope("posts:read"), both, by(0, "pwd"), layer.Unproven},
			{"a key, where keys may", route.Scope("posts:read"), both, key, ""},
			{"a key without the scope, where keys may", route.Scope("posts:read"), both, bareKey, layer.Forbidden},
			{"a key, where nobody said that keys may", route.Scope("posts:read"), fresh, key, layer.Forbidden},
			{"somebody who may not know of the route, whatever their proof", route.Administrators, fresh, by(time.Hour), layer.NotFound},
			{"an administrator with an old proof", route.Administrators, fresh, made(mint.Facts{Kind: "session", Administrator: true, AuthTime: time.Now().Add(-time.Hour)}), layer.Unproven},
			{"a stranger", route.Members, fresh, nobody, layer.Unauthenticated},
		} {
			err := declared(t, c.access, c.needs).Check("it", c.who)
			var r *layer.Refusal
			var unmet *layer.Unmet
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s: %v", c.name, err)
			case c.want != "" && (!errors.As(err, &r) || r.By != layer.GateRoute || r.Reason != c.want || r.Public == ""):
				t.Errorf("%s: got %v, want %s", c.name, err, c.want)
			case errors.As(err, &unmet) != (c.want == layer.Unproven) || unmet != nil && unmet.Needs != c.needs:
				t.Errorf("%s: the refusal says that %v would do, want %v", c.name, unmet, c.needs)
			}
		}
	})
}

func TestAProofThatCannotBeMetIsNoDeclaration(t *testing.T) { // SYSTEM A1, I6
	for _, c := range []struct {
		name   string
		access route.Access
		needs  layer.Assurance
		want   string // empty is taken
	}{
		{"nothing", route.Public, layer.Assurance{}, ""},
		{"a minute", route.Members, layer.Assurance{Within: time.Minute}, ""},
		{"a week", route.Members, layer.Assurance{Within: 7 * 24 * time.Hour}, ""},
		{"a level that is a URN", route.Members, layer.Assurance{Level: "urn:example:two-factor"}, ""},
		{"keys too", route.Scope("a:b"), layer.Assurance{Within: time.Minute, Keys: true}, ""},
		{"less than a minute", route.Members, layer.Assurance{Within: time.Minute - 1}, "a minute to a week"},
		{"a negative time", route.Members, layer.Assurance{Within: -time.Hour}, "a minute to a week"},
		{"more than a week", route.Members, layer.Assurance{Within: 7*24*time.Hour + 1}, "a minute to a week"},
		{"of anybody", route.Public, layer.Assurance{Within: time.Hour}, "admits anybody"},
		{"of a route that is not declared", route.Access{}, layer.Assurance{Within: time.Hour}, "admits anybody"},
		{"keys where no key comes", route.Members, layer.Assurance{Within: time.Hour, Keys: true}, "for people alone"},
		{"keys and nothing else", route.Scope("a:b"), layer.Assurance{Keys: true}, "asks nobody"},
		{"a level that would break out of a header", route.Members, layer.Assurance{Level: `mfa", max_age="0`}, "no plain word"},
		{"a level beyond its bound", route.Members, layer.Assurance{Level: strings.Repeat("m", 101)}, "no plain word"},
	} {
		g := &route.Gate{}
		if c.access != (route.Access{}) {
			if err := g.Declare("it", c.access); err != nil {
				t.Fatal(err)
			}
		}
		err := g.Need("it", c.needs)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if c.want == "" && g.Needs("it") != c.needs {
			t.Errorf("%s: it needs %v", c.name, g.Needs("it"))
		}
	}
}
