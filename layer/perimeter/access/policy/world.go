package policy

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// MaxGroups is how many groups a person may be in. One in more is denied: a rule that shuts a group out must not miss it.
const MaxGroups = 1000

// A world is the entities that one question is about. It makes each when Cedar first asks for it.
type world struct {
	who        assertion.SignOn
	uid        cedar.EntityUID
	groups     groups
	attributes bool // whether any rule asks for them

	memberships     []cedar.EntityUID
	knowMemberships bool

	principal     cedar.Entity
	knowPrincipal bool

	place        place
	resource     cedar.Entity
	knowResource bool
}

// Get implements cedar.EntityGetter. Whatever it does not know has no parents and no attributes.
func (w *world) Get(uid cedar.EntityUID) (cedar.Entity, bool) {
	switch uid.Type {
	case w.uid.Type:
		if uid != w.uid {
			return cedar.Entity{}, false
		}
		if !w.knowPrincipal || w.attributes && w.principal.Attributes.Len() == 0 {
			w.principal, w.knowPrincipal = w.describe(), true
		}
		return w.principal, true
	case typePath:
		if string(uid.ID) != w.place.id {
			return cedar.Entity{}, false
		}
		if !w.knowResource {
			w.resource, w.knowResource = w.place.entity(), true
		}
		return w.resource, true
	case typeAction:
		if i := slices.Index(methods, string(uid.ID)); i >= 0 {
			return actions[i], true
		}
	}
	return cedar.Entity{}, false
}

// stand says which reading of the path is judged.
func (w *world) stand(p place) { w.place, w.knowResource = p, false }

// entity is a path with all that it lies in as its parents, so that Cedar need not climb.
func (p place) entity() cedar.Entity {
	var space [16]cedar.EntityUID
	parents := append(space[:0], cedar.NewEntityUID(typeHost, cedar.String(p.id[:p.host])))
	p.around(func(id string) { parents = append(parents, cedar.NewEntityUID(typePath, cedar.String(id))) })
	return cedar.Entity{UID: cedar.NewEntityUID(typePath, cedar.String(p.id)), Parents: cedar.NewEntityUIDSet(parents...)}
}

// actions are the entities of methods.
var actions = func() (all []cedar.Entity) {
	for i, m := range methods {
		group := cedar.NewEntityUID(typeAction, "write")
		if i < readers {
			group.ID = "read"
		}
		all = append(all, cedar.Entity{UID: cedar.NewEntityUID(typeAction, cedar.String(m)), Parents: cedar.NewEntityUIDSet(group)})
	}
	return all
}()

// identify names who asks. Whom it does not know is nobody.
func identify(who assertion.SignOn) cedar.EntityUID {
	switch who.By {
	case assertion.ByProvider, assertion.ByMail:
		return cedar.NewEntityUID(typePerson, cedar.String(canonicalEmail(who.Email)))
	case assertion.ByService:
		if who.Subject != "" {
			return cedar.NewEntityUID(typeService, cedar.String(who.Subject))
		}
	}
	return nobody
}

// describe is the entity of who asks. Groups are those of the provider that the person signed in with, under its name: no other
// can put anybody into them.
func (w *world) describe() cedar.Entity {
	if w.uid.Type != typePerson {
		return cedar.Entity{UID: w.uid}
	}
	e := cedar.Entity{UID: w.uid, Parents: cedar.NewEntityUIDSet(w.parents()...)}
	if !w.attributes {
		return e
	}
	email := string(w.uid.ID)
	e.Attributes = cedar.NewRecord(cedar.RecordMap{
		"by":       cedar.String(w.who.By),
		"provider": cedar.String(w.who.Provider),
		"subject":  cedar.String(w.who.Subject),
		"email":    cedar.String(email),
		"domain":   cedar.String(email[strings.LastIndexByte(email, '@')+1:]),
	})
	return e
}

func (w *world) parents() []cedar.EntityUID {
	if w.knowMemberships {
		return w.memberships
	}
	w.knowMemberships = true
	named := w.groups[w.who.Provider]
	if w.who.By != assertion.ByProvider || len(named) == 0 {
		return nil
	}
	for _, g := range w.who.Groups {
		if uid, ok := named[g]; ok {
			w.memberships = append(w.memberships, uid)
		}
	}
	return w.memberships
}

// meets answers the scope of principal, as Cedar would, which TestDecisionsAreCedars holds it to.
func (w *world) meets(scope ast.IsPrincipalScopeNode) bool {
	switch s := scope.(type) {
	case ast.ScopeTypeAll:
		return true
	case ast.ScopeTypeEq:
		return w.uid == s.Entity
	case ast.ScopeTypeIn:
		return w.uid == s.Entity || slices.Contains(w.parents(), s.Entity)
	case ast.ScopeTypeIs:
		return w.uid.Type == s.Type
	case ast.ScopeTypeIsIn:
		return w.uid.Type == s.Type && (w.uid == s.Entity || slices.Contains(w.parents(), s.Entity))
	}
	return false
}

// contextOf is what a request has besides who, what and where. An IPv4 address is one however it came.
func contextOf(client netip.Addr) cedar.Record {
	client = client.Unmap().WithZone("")
	return cedar.NewRecord(cedar.RecordMap{"network": cedar.IPAddr(netip.PrefixFrom(client, client.BitLen()))})
}

// canonicalEmail is the spelling in which addresses are compared: lower case. Local parts may differ in case by RFC 5321 section
// 2.4, but no provider of mail that we know tells them apart. An address with anything but ASCII's plain letters is empty: two that
// look alike must never be one.
func canonicalEmail(s string) string {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(s) > 254 || !consists(local, "!#$%&'*+-/=?^_`{|}~.") || !isDomain(domain) {
		return ""
	}
	return strings.ToLower(s)
}

func isDomain(s string) bool {
	return consists(s, "-.") && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
}

// consists reports whether s is not empty, and letters, digits and more alone.
func consists(s, more string) bool {
	for _, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return s != ""
}
