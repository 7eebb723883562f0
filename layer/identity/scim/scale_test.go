package scim_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// A hundred thousand users: what is looked up stays quick, what is compared ends, and one more than that is refused.
func TestAHundredThousandUsers(t *testing.T) { // SYSTEM T6
	w := newWorld(t)
	p := w.provider(t, "Acme")
	org := w.Organization("Acme")
	w.exec(t, `insert into identity.scim_user (organization_id, issuer, user_name, external_id, display_name, created_at)
		select $1, 'x', 'user' || n || '@example.test', 'e' || n, 'User ' || n, now() - interval '1 day' + n * interval '1 millisecond' from generate_series(1, 99999) n`, org)
	w.exec(t, `analyze identity.scim_user`)
	look := func(what, query string, status int, bound time.Duration) *answer {
		t.Helper()
		began := time.Now()
		a := p.ask("GET", "/Users?"+query, nil).is(status)
		took := time.Since(began)
		t.Logf("%s: %v", what, took.Round(time.Millisecond))
		if took > bound {
			t.Errorf("%s took %v", what, took)
		}
		return a
	}
	look("by userName", "filter="+url.QueryEscape(`userName eq "user77777@example.test"`), http.StatusOK, 2*time.Second).says(kv{"totalResults": 1.0})
	look("by externalId", "filter="+url.QueryEscape(`externalId eq "e77777"`), http.StatusOK, 2*time.Second).says(kv{"totalResults": 1.0})
	look("the last page", "startIndex=99901&count=100", http.StatusOK, 4*time.Second).says(kv{"totalResults": 100000.0, "itemsPerPage": 100.0})
	look("compared one by one", "count=1&filter="+url.QueryEscape(`displayName ew "777"`), http.StatusOK, 60*time.Second).says(kv{"totalResults": 100.0, "itemsPerPage": 1.0})
	began := time.Now()
	id := p.add("one-more@example.test", "")
	p.ask("PATCH", "/Users/"+id, patch(kv{"op": "replace", "path": "active", "value": false})).is(http.StatusOK)
	t.Logf("made and stopped: %v", time.Since(began).Round(time.Millisecond))
	p.ask("GET", "/Users?filter="+url.QueryEscape(`displayName ew "777"`), nil).fails(http.StatusBadRequest, "tooMany")
	p.ask("POST", "/Users", aUser("too-many@example.test", "")).fails(http.StatusConflict, "")
}
