package scim

import (
	"strings"
)

// A kind says how an attribute's values are compared.
type kind int

const (
	folded  kind = iota // text, without regard to case
	exact               // text
	truth               // true or false
	instant             // a time
	several             // attributes of its own
)

// An attribute is one that filters and paths may name.
type attribute struct {
	name  string // as it is written
	kind  kind
	multi bool
	fixed bool                 // not the client's to write
	parts map[string]attribute // by name in lower case
}

func named(all ...attribute) map[string]attribute {
	by := map[string]attribute{}
	for _, a := range all {
		by[strings.ToLower(a.name)] = a
	}
	return by
}

var meta = attribute{name: "meta", kind: several, fixed: true, parts: named(
	attribute{name: "lastModified", kind: instant, fixed: true}, attribute{name: "created", kind: instant, fixed: true})}

// userAttributes and groupAttributes are all that is kept.
var (
	userAttributes = named(
		attribute{name: "id", kind: exact, fixed: true}, meta,
		attribute{name: "schemas", kind: exact, multi: true, fixed: true},
		attribute{name: "groups", kind: several, multi: true, fixed: true, parts: named(attribute{name: "value", kind: exact, fixed: true})},
		attribute{name: "externalId", kind: exact},
		attribute{name: "userName"},
		attribute{name: "displayName"},
		attribute{name: "active", kind: truth},
		attribute{name: "name", kind: several, parts: named(attribute{name: "formatted"}, attribute{name: "givenName"}, attribute{name: "familyName"})},
		attribute{name: "emails", kind: several, multi: true, parts: named(
			attribute{name: "value"}, attribute{name: "type"}, attribute{name: "display"}, attribute{name: "primary", kind: truth})},
	)
	groupAttributes = named(
		attribute{name: "id", kind: exact, fixed: true}, meta,
		attribute{name: "schemas", kind: exact, multi: true, fixed: true},
		attribute{name: "externalId", kind: exact},
		attribute{name: "displayName"},
		attribute{name: "members", kind: several, multi: true, parts: named(attribute{name: "value", kind: exact})},
	)
)

// unkept are what RFC 7643 section 4 has besides. A provider may send them, and they are not kept: nobody becomes anything by roles or
// entitlements, and there are no passwords here (SYSTEM I1, I3).
var unkept = map[string]bool{}

func init() {
	for name := range strings.FieldsSeq("nickname profileurl title usertype preferredlanguage locale timezone password phonenumbers ims photos addresses entitlements roles x509certificates") {
		unkept[name] = true
	}
	for name := range strings.FieldsSeq("middlename honorificprefix honorificsuffix") {
		unkept["name."+name] = true
	}
}

// bare is an attribute's name without its schema (RFC 7644 section 3.10).
func bare(name string) string {
	for _, schema := range []string{userSchema, groupSchema} {
		if len(name) > len(schema) && name[len(schema)] == ':' && strings.EqualFold(name[:len(schema)], schema) {
			return name[len(schema)+1:]
		}
	}
	return name
}

// foreign reports whether a name belongs to a schema that is not spoken here, as that for enterprises.
func foreign(name string) bool {
	return len(name) > 4 && (strings.EqualFold(name[:4], "urn:") || strings.HasPrefix(strings.ToLower(name), "http:") || strings.HasPrefix(strings.ToLower(name), "https:"))
}

// A place is an attribute, or one part of it.
type place struct {
	attribute
	part *attribute // nil for the whole
}

// find resolves a name like emails.value among all.
func find(all map[string]attribute, name string) (place, bool) {
	head, part, dotted := strings.Cut(strings.ToLower(bare(name)), ".")
	a, ok := all[head]
	if !ok || !dotted {
		return place{attribute: a}, ok
	}
	p, ok := a.parts[part]
	return place{a, &p}, ok
}

// ignored reports whether a name is one that may be sent, and is not kept.
func ignored(name string) bool {
	name = strings.ToLower(bare(name))
	head, _, _ := strings.Cut(name, ".")
	return unkept[head] || unkept[name] || foreign(name)
}
