package scim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// What Microsoft Entra ID sends, by its own documentation: extensions, roles, texts for booleans, "Replace", filters in paths for an address
// that is not there yet.
func TestEntraIDIsUnderstood(t *testing.T) {
	p := newWorld(t).provider(t, "Acme")
	p.ask("GET", "/Users?filter="+url.QueryEscape(`userName eq "11111111-1111-4111-8111-111111111111"`), nil).is(http.StatusOK).says(kv{"totalResults": 0.0}) // its connection test
	id := p.ask("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
		"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"ada@example.test","active":true,"displayName":"Ada",
		"emails":[{"primary":true,"type":"work","value":"ada@example.test"}],"meta":{"resourceType":"User"},
		"name":{"formatted":"Ada L","familyName":"L","givenName":"Ada"},"roles":[],"title":"Countess",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Engines","manager":{"value":"x"}}}`).is(http.StatusCreated).id()
	cases := []struct {
		name, body string
		want       kv
	}{
		{"a text for a boolean, and Replace", `{"schemas":["` + patchURN + `"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`, kv{"active": false}},
		{"an address by its type", `{"schemas":["` + patchURN + `"],"Operations":[{"op":"Replace","path":"emails[type eq \"work\"].value","value":"ada.l@example.test"},
			{"op":"Replace","path":"name.familyName","value":"Lovelace"}]}`, kv{"emails.0.value": "ada.l@example.test", "name.familyName": "Lovelace"}},
		{"an address of a type that is not there", `{"schemas":["` + patchURN + `"],"Operations":[{"op":"Add","path":"emails[type eq \"home\"].value","value":"ada@home.test"}]}`,
			kv{"emails.1.value": "ada@home.test", "emails.1.type": "home"}},
		{"no path, and names with dots", `{"schemas":["` + patchURN + `"],"Operations":[{"op":"Add","value":{"displayName":"Ada Lovelace","name.givenName":"Augusta",
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":"Looms"}}]}`, kv{"displayName": "Ada Lovelace", "name.givenName": "Augusta"}},
		{"what is not kept", `{"schemas":["` + patchURN + `"],"Operations":[{"op":"Add","path":"title","value":"x"},{"op":"Replace","path":"addresses[type eq \"work\"].locality","value":"y"},
			{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"z"},{"op":"Replace","path":"active","value":"True"}]}`, kv{"active": true, "title": nil}},
		{"a name written with its schema", `{"schemas":["` + patchURN + `"],"Operations":[{"op":"remove","path":"urn:ietf:params:scim:schemas:core:2.0:User:name.formatted"}]}`, kv{"name.formatted": nil}},
	}
	for _, c := range cases {
		p.ask("PATCH", "/Users/"+id, c.body).is(http.StatusOK).says(c.want)
	}
	group := p.ask("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
		"externalId":"8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159","displayName":"Engineers","meta":{"resourceType":"Group"}}`).is(http.StatusCreated).says(kv{"members": nil}).id()
	add := `{"schemas":["` + patchURN + `"],"Operations":[{"op":"Add","path":"members","value":[{"$ref":null,"value":"` + id + `"}]}]}`
	p.ask("PATCH", "/Groups/"+group, add).is(http.StatusNoContent)
	p.ask("PATCH", "/Groups/"+group, add).is(http.StatusNoContent) // once more changes nothing
	p.ask("GET", "/Groups?excludedAttributes=members&filter="+url.QueryEscape(`displayName eq "engineers"`), nil).is(http.StatusOK).says(kv{"totalResults": 1.0, "Resources.0.members": nil})
	p.ask("GET", "/Groups?filter="+url.QueryEscape(`id eq "`+group+`" and members eq "`+id+`"`), nil).is(http.StatusOK).says(kv{"totalResults": 1.0, "Resources.0.members.0.value": id})
	p.ask("GET", "/Users/"+id, nil).is(http.StatusOK).says(kv{"groups.0.value": group, "groups.0.display": "Engineers"})
	p.ask("PATCH", "/Groups/"+group, strings.Replace(add, `"Add"`, `"Remove"`, 1)).is(http.StatusNoContent)
	p.ask("GET", "/Groups/"+group, nil).is(http.StatusOK).says(kv{"members": nil})
}

// What Okta sends: whole users by PUT, with a password and empty groups; a PATCH without a path; a group's own id in its value.
func TestOktaIsUnderstood(t *testing.T) {
	p := newWorld(t).provider(t, "Acme")
	p.ask("GET", "/Users?startIndex=1&count=100&filter="+url.QueryEscape(`userName eq "grace@example.test"`), nil).is(http.StatusOK).says(kv{"totalResults": 0.0})
	whole := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"grace@example.test","name":{"givenName":"Grace","familyName":"Hopper"},
		"emails":[{"primary":true,"value":"grace@example.test","type":"work"}],"displayName":"Grace Hopper","locale":"en-US","externalId":"00ujl29u0le5T6Aj10h7","groups":[],"password":"1mz050nq","active":true}`
	made := p.ask("POST", "/Users", whole).is(http.StatusCreated)
	if strings.Contains(string(made.body), "1mz050nq") || made.at("password") != nil {
		t.Error("a password came back")
	}
	id := made.id()
	p.ask("POST", "/Users", whole).fails(http.StatusConflict, "uniqueness")
	p.ask("PUT", "/Users/"+id, strings.Replace(whole, `"Grace Hopper"`, `"Rear Admiral Hopper"`, 1)).is(http.StatusOK).says(kv{"displayName": "Rear Admiral Hopper", "externalId": "00ujl29u0le5T6Aj10h7"})
	p.ask("PATCH", "/Users/"+id, `{"schemas":["`+patchURN+`"],"Operations":[{"op":"replace","value":{"active":false}}]}`).is(http.StatusOK).says(kv{"active": false})
	group := p.group("Test SCIMv2", id)
	p.ask("PATCH", "/Groups/"+group, `{"schemas":["`+patchURN+`"],"Operations":[{"op":"replace","value":{"id":"`+group+`","displayName":"Renamed"}}]}`).is(http.StatusNoContent)
	p.ask("GET", "/Groups/"+group, nil).says(kv{"displayName": "Renamed", "members.0.value": id, "members.0.type": "User"})
	p.ask("PATCH", "/Groups/"+group, `{"schemas":["`+patchURN+`"],"Operations":[{"op":"remove","path":"members[value eq \"`+id+`\"]"}]}`).is(http.StatusNoContent)
	p.ask("PATCH", "/Groups/"+group+"?attributes=displayName,members", `{"schemas":["`+patchURN+`"],"Operations":[{"op":"replace","path":"members","value":[{"value":"`+id+`","display":"x"}]}]}`).
		is(http.StatusOK).says(kv{"members.0.value": id, "displayName": "Renamed"})
	p.ask("PUT", "/Groups/"+group, kv{"schemas": []string{groupURN}, "displayName": "Renamed", "members": []kv{}}).is(http.StatusOK).says(kv{"members": nil})
	p.ask("DELETE", "/Groups/"+group, nil).is(http.StatusNoContent)
	p.ask("GET", "/Groups/"+group, nil).fails(http.StatusNotFound, "")
	p.ask("GET", "/Users/"+id, nil).is(http.StatusOK).says(kv{"groups": nil})
}

func TestThePapersOfTheService(t *testing.T) {
	p := newWorld(t).provider(t, "Acme")
	p.ask("GET", "/ServiceProviderConfig", nil).is(http.StatusOK).says(kv{"patch.supported": true, "bulk.supported": false, "filter.supported": true, "sort.supported": false, "etag.supported": true,
		"changePassword.supported": false, "authenticationSchemes.0.type": "oauthbearertoken"})
	p.ask("GET", "/ResourceTypes", nil).is(http.StatusOK).says(kv{"totalResults": 2.0, "Resources.0.endpoint": "/Users", "Resources.1.schema": groupURN})
	p.ask("GET", "/ResourceTypes/Group", nil).is(http.StatusOK).says(kv{"name": "Group"})
	p.ask("GET", "/ResourceTypes/Device", nil).fails(http.StatusNotFound, "")
	p.ask("GET", "/Schemas", nil).is(http.StatusOK).says(kv{"totalResults": 2.0})
	p.ask("GET", "/Schemas/"+userURN, nil).is(http.StatusOK).says(kv{"id": userURN})
	p.ask("GET", "/Me", nil).fails(http.StatusNotFound, "")
	p.ask("PUT", "/Users", aUser("x@example.test", "")).fails(http.StatusMethodNotAllowed, "")
}
