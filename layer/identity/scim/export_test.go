package scim

import (
	"errors"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

// CheckFilter reads a filter and compares a user with it: it is refused as a filter, or says yes or no, and its pins with what is left of
// it say the same.
func CheckFilter(t *testing.T, s string) {
	f, err := parseFilter(s, userAttributes)
	if err != nil {
		var r *layer.Refusal
		if !errors.As(err, &r) || r.Cause != InvalidFilter {
			t.Fatalf("refused by %v", err)
		}
		return
	}
	external := "A1"
	u := user{ID: "00000000-0000-4000-8000-000000000000", UserName: "x", ExternalID: &external, Active: true, Emails: []email{{Value: "a@b.test", Type: "work"}}, CreatedAt: time.Unix(0, 0)}
	tree := u.resource(Directory{}).tree
	whole := f.match(tree)
	p := pinned(f, "userName", "externalId", "id")
	parts := p.rest == nil || p.rest.match(tree)
	for name, value := range p.values {
		parts = parts && comparison{place{attribute: userAttributes[lower(name)]}, "eq", value}.match(tree)
	}
	if whole != parts {
		t.Errorf("the filter says %t, its parts %t", whole, parts)
	}
}

func lower(name string) string {
	return map[string]string{"userName": "username", "externalId": "externalid", "id": "id"}[name]
}

// CheckPatch applies an operation to a user and to a group: what comes of it is within the bounds, or a refusal.
func CheckPatch(t *testing.T, operation string) {
	body := []byte(`{"schemas":["` + patchSchema + `"],"Operations":[` + operation + `]}`)
	was := user{UserName: "x", Active: true, Emails: []email{{Value: "a@b.test", Type: "work", Primary: true}}}
	if u, err := patchUser(was, body); err == nil {
		if u.ID != was.ID || u.UserName == "" || len(u.UserName) > 320 || len(u.Emails) > maxEmails || len(u.Display) > 200 {
			t.Errorf("a user beyond the bounds: %+v", u)
		}
		for _, e := range u.Emails {
			if e.Value == "" {
				t.Errorf("an address without a value: %+v", u)
			}
		}
	} else if r := (*layer.Refusal)(nil); !errors.As(err, &r) {
		t.Errorf("no refusal: %v", err)
	}
	if c, err := patchGroup(group{Display: "x"}, body); err == nil {
		for id := range c.added {
			if !isUUID(id) || c.removed[id] {
				t.Errorf("a member beyond the bounds: %v %v", c.added, c.removed)
			}
		}
	}
	if len(was.Emails) != 1 || was.Emails[0] != (email{Value: "a@b.test", Type: "work", Primary: true}) {
		t.Error("what was is not what it was")
	}
}
