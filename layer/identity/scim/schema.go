package scim

import (
	"maps"
	"slices"
	"strings"
)

// Config is what of the protocol is supported (RFC 7643 section 5).
func (d Directory) Config() any {
	no := map[string]any{"supported": false}
	return map[string]any{
		"schemas":        []string{configSchema},
		"patch":          map[string]any{"supported": true},
		"bulk":           map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter":         map[string]any{"supported": true, "maxResults": maxUsers},
		"changePassword": no,
		"sort":           no,
		"etag":           map[string]any{"supported": true},
		"authenticationSchemes": []any{map[string]any{
			"type": "oauthbearertoken", "name": "Endpoint credential", "primary": true,
			"description": "The credential of an endpoint of the organization, in an Authorization header with the scheme Bearer. An administrator makes it, and revokes it.",
		}},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": d.Base + "/ServiceProviderConfig"},
	}
}

type document struct {
	id   string
	body map[string]any
}

func (d Directory) documents(all []document) any {
	bodies := make([]any, len(all))
	for i, one := range all {
		bodies[i] = one.body
	}
	return map[string]any{"schemas": []string{listSchema}, "totalResults": len(all), "startIndex": 1, "itemsPerPage": len(all), "Resources": bodies}
}

func pick(all []document, id string) (any, error) {
	for _, one := range all {
		if strings.EqualFold(one.id, id) {
			return one.body, nil
		}
	}
	return nil, absent()
}

// Types are the resource types (RFC 7643 section 6).
func (d Directory) Types() any { return d.documents(d.types()) }

// Type is one of them, by its name.
func (d Directory) Type(id string) (any, error) { return pick(d.types(), id) }

func (d Directory) types() (all []document) {
	for _, t := range []struct{ name, schema, description string }{
		{"User", userSchema, "A person who may sign in, and their membership of the organization."},
		{"Group", groupSchema, "Users together. One that is named like a role gives that role."},
	} {
		all = append(all, document{t.name, map[string]any{"schemas": []string{typeSchema}, "id": t.name, "name": t.name, "endpoint": "/" + t.name + "s",
			"description": t.description, "schema": t.schema, "schemaExtensions": []any{},
			"meta": map[string]any{"resourceType": "ResourceType", "location": d.Base + "/ResourceTypes/" + t.name}}})
	}
	return all
}

// Schemas are what the resources consist of (RFC 7643 section 7), made of the tables that filters and paths are read by.
func (d Directory) Schemas() any { return d.documents(d.schemas()) }

// Schema is one of them, by its URN.
func (d Directory) Schema(id string) (any, error) { return pick(d.schemas(), id) }

func (d Directory) schemas() (all []document) {
	for _, s := range []struct {
		id, name   string
		attributes map[string]attribute
	}{{userSchema, "User", userAttributes}, {groupSchema, "Group", groupAttributes}} {
		all = append(all, document{s.id, map[string]any{"schemas": []string{schemaSchema}, "id": s.id, "name": s.name, "attributes": described(s.attributes),
			"meta": map[string]any{"resourceType": "Schema", "location": d.Base + "/Schemas/" + s.id}}})
	}
	return all
}

// required are the attributes that a resource does not do without; unique are those that one alone has.
var (
	required = map[string]bool{"userName": true}
	unique   = map[string]string{"userName": "server", "externalId": "server"}
)

func described(attributes map[string]attribute) []any {
	all := []any{}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		if name == "id" || name == "meta" || name == "schemas" { // common to everything (RFC 7643 section 3.1)
			continue
		}
		said := map[string]any{"name": a.name, "type": a.typeName(), "multiValued": a.multi, "description": "", "required": required[a.name],
			"caseExact": a.kind == exact, "mutability": "readWrite", "returned": "default", "uniqueness": "none"}
		if a.fixed {
			said["mutability"] = "readOnly"
		}
		if u := unique[a.name]; u != "" {
			said["uniqueness"] = u
		}
		if a.kind == several {
			said["subAttributes"] = described(a.parts)
		}
		all = append(all, said)
	}
	return all
}

func (a attribute) typeName() string {
	switch a.kind {
	case truth:
		return "boolean"
	case instant:
		return "dateTime"
	case several:
		return "complex"
	}
	return "string"
}
