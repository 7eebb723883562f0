package scim_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/redoubt-dev/redoubt/layer"
)

// A user's whole life, as a provider leads it (RFC 7644 section 3).
func TestAUserFromAnnouncementToDeletion(t *testing.T) { // SYSTEM I1, I7, I8
	p := newWorld(t).provider(t, "Acme")
	made := p.ask("POST", "/Users", kv{"schemas": []string{userURN}, "userName": "bjensen@example.test", "externalId": "bjensen",
		"name": kv{"formatted": "Ms. Barbara J Jensen III", "familyName": "Jensen", "givenName": "Barbara"}}).is(http.StatusCreated)
	id := made.id()
	made.says(kv{"userName": "bjensen@example.test", "active": true, "name.familyName": "Jensen", "meta.resourceType": "User", "meta.location": made.header.Get("Location")})
	if made.header.Get("ETag") != made.text("meta.version") || made.header.Get("ETag") == "" {
		t.Errorf("ETag %q, version %q", made.header.Get("ETag"), made.text("meta.version"))
	}

	found := p.ask("GET", "/Users?filter="+url.QueryEscape(`userName eq "BJENSEN@example.test"`), nil).is(http.StatusOK)
	found.says(kv{"totalResults": 1.0, "itemsPerPage": 1.0, "startIndex": 1.0, "Resources.0.id": id, "schemas.0": "urn:ietf:params:scim:api:messages:2.0:ListResponse"})

	if _, err := p.signIn("somebody-else", "somebody@example.test"); err == nil {
		t.Error("a stranger came in")
	}
	who, err := p.signIn("bjensen", "")
	if err != nil {
		t.Fatalf("who was announced may not sign in: %v", err)
	}
	p.ask("PATCH", "/Users/"+id, patch(kv{"op": "replace", "path": "name.familyName", "value": "Jensen-Smith"})).is(http.StatusOK).says(kv{"name.familyName": "Jensen-Smith", "name.givenName": "Barbara"})
	p.ask("PATCH", "/Users/"+id, patch(kv{"op": "replace", "value": kv{"active": false}})).is(http.StatusOK).says(kv{"active": false})
	if _, err := p.signIn("bjensen", ""); !refusedBy(err, layer.Identity) {
		t.Errorf("who was stopped signed in: %v", err)
	}
	p.ask("PUT", "/Users/"+id, aUser("bjensen@example.test", "bjensen")).is(http.StatusOK).says(kv{"active": false, "name": nil, "displayName": "Somebody"})
	p.ask("PATCH", "/Users/"+id, patch(kv{"op": "add", "path": "active", "value": true})).is(http.StatusOK).says(kv{"active": true})
	again, err := p.signIn("bjensen", "")
	if err != nil || again.Profile() != who.Profile() {
		t.Fatalf("who was let in again is %v (%v), and was %v", again, err, who)
	}
	p.ask("DELETE", "/Users/"+id, nil).is(http.StatusNoContent)
	p.ask("GET", "/Users/"+id, nil).fails(http.StatusNotFound, "")
	p.ask("DELETE", "/Users/"+id, nil).fails(http.StatusNotFound, "")
	if _, err := p.signIn("bjensen", ""); !refusedBy(err, layer.Identity) {
		t.Errorf("who was deleted signed in: %v", err)
	}
	if n := scan[int](t, p.w, `select count(*) from identity.person where subject = 'bjensen'`); n != 0 {
		t.Error("the person is still known")
	}
}

func refusedBy(err error, by layer.Layer) bool {
	var r *layer.Refusal
	return errors.As(err, &r) && r.By == by
}
