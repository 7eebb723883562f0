package scim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestPagesAreBoundedAndComplete(t *testing.T) { // RFC 7644 section 3.4.2.4
	p := newWorld(t).provider(t, "Acme") // whose one member is its administrator
	for i := range 5 {
		p.add(fmt.Sprintf("user%d@example.test", i), "")
	}
	cases := []struct {
		name, query          string
		total, start, onThis float64
		first                string
	}{
		{"everything", "", 6, 1, 6, ""},
		{"a window", "startIndex=2&count=2", 6, 2, 2, "user0@example.test"},
		{"the last, and no more", "startIndex=6&count=10", 6, 6, 1, "user4@example.test"},
		{"past the end", "startIndex=7", 6, 7, 0, ""},
		{"a start before the first is the first", "startIndex=-3&count=1", 6, 1, 1, ""},
		{"none, to count", "count=0", 6, 1, 0, ""},
		{"less than none is none", "count=-1", 6, 1, 0, ""},
		{"far more than there are", "count=999999999", 6, 1, 6, ""},
		{"an order is not supported and not heeded", "sortBy=userName&sortOrder=descending&startIndex=2&count=1", 6, 2, 1, "user0@example.test"},
		{"a window of a filter that is compared here", "startIndex=2&count=2&filter=" + url.QueryEscape(`userName sw "user"`), 5, 2, 2, "user1@example.test"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := p.ask("GET", "/Users?"+c.query, nil).is(http.StatusOK).says(kv{"totalResults": c.total, "startIndex": c.start, "itemsPerPage": c.onThis})
			if c.first != "" && a.text("Resources.0.userName") != c.first {
				t.Errorf("the first is %s", a.body)
			}
		})
	}
	for _, query := range []string{"startIndex=x", "count=1.5", "startIndex=99999999999999999999"} {
		p.ask("GET", "/Users?"+query, nil).fails(http.StatusBadRequest, "invalidValue")
	}
	p.ask("GET", "/Users?cursor=x", nil).fails(http.StatusBadRequest, "invalidValue")
}

func TestFiltersFindWhatTheyAskFor(t *testing.T) { // RFC 7644 section 3.4.2.2
	p := newWorld(t).provider(t, "Acme")
	p.w.exec(t, `delete from identity.session where organization_id = $1`, p.w.Organization("Acme"))
	ada := p.ask("POST", "/Users", kv{"schemas": []string{userURN}, "userName": "Ada@example.test", "externalId": "A1", "displayName": "Ada Lovelace", "name": kv{"familyName": "Lovelace"},
		"emails": []kv{{"value": "ada@work.test", "type": "work", "primary": true}, {"value": "ada@home.test", "type": "home"}}}).is(http.StatusCreated).id()
	bob := p.ask("POST", "/Users", kv{"schemas": []string{userURN}, "userName": "bob@example.test", "externalId": "b2", "active": false}).is(http.StatusCreated).id()
	group := p.group("Readers", ada)
	name := map[string]string{ada: "ada", bob: "bob"}
	cases := []struct{ filter, want string }{
		{`userName eq "ada@EXAMPLE.test"`, "ada"},
		{`USERNAME EQ "ada@example.test"`, "ada"},
		{`urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada@example.test"`, "ada"},
		{`externalId eq "A1"`, "ada"},
		{`externalId eq "a1"`, ""},
		{`externalId ne "A1" and userName co "@example.test" and externalId pr`, "bob"},
		{`id eq "` + bob + `"`, "bob"},
		{`id eq "` + strings.ToUpper(bob) + `"`, ""},
		{`id eq "no id"`, ""},
		{`emails.value eq "ADA@home.test"`, "ada"},
		{`emails eq "ada@home.test"`, "ada"},
		{`emails[type eq "work" and value co "@work"]`, "ada"},
		{`emails[type eq "work" and value co "@home"]`, ""},
		{`emails.primary eq true and userName sw "ada"`, "ada"},
		{`active eq false`, "bob"},
		{`active ne true`, "bob"},
		{`displayName sw "ada l"`, "ada"},
		{`displayName ew "LACE"`, "ada"},
		{`name.familyName pr`, "ada"},
		{`externalId pr and not (displayName pr)`, "bob"},
		{`externalId pr and displayName eq null`, "bob"},
		{`userName gt "ada" and userName lt "bob@f" and externalId pr`, "ada bob"},
		{`(externalId eq "A1" or externalId eq "b2") and active eq true`, "ada"},
		{`externalId eq "A1" or externalId eq "b2" and active eq true`, "ada"}, // and binds closer
		{`userName eq "ada@example.test" and userName eq "bob@example.test"`, ""},
		{`meta.lastModified gt "2020-01-01T00:00:00Z" and externalId pr`, "ada bob"},
		{`meta.created gt "2120-01-01T00:00:00Z"`, ""},
		{`groups.value eq "` + group + `"`, "ada"},
		{`userName eq "x' or '1'='1"`, ""},
		{`userName eq "%"`, ""},
		{`userName eq "\u0061da@example.test"`, "ada"},
	}
	for _, c := range cases {
		t.Run(c.filter, func(t *testing.T) {
			a := p.ask("GET", "/Users?filter="+url.QueryEscape(c.filter), nil).is(http.StatusOK)
			var got []string
			for _, r := range a.at("Resources").([]any) {
				if n := name[r.(map[string]any)["id"].(string)]; n != "" {
					got = append(got, n)
				} else {
					got = append(got, "boss")
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("found %v, want %q", got, c.want)
			}
		})
	}
	for _, filter := range []string{``, `userName`, `userName eq`, `userName eq ada`, `userName is "x"`, `userName eq "x" userName eq "y"`, `(userName eq "x"`, `userName eq "x")`,
		`password eq "x"`, `role eq "owner"`, `organization_id pr`, `emails[value eq "x"`, `emails[members.value eq "x"]`, `active eq "true"`, `active gt true`, `userName gt true`, `userName co null`,
		`meta.created eq "yesterday"`, `name eq "x"`, `meta pr`, `not userName eq "x"`, `userName eq "x" and`, `userName eq "x"; drop table`, `members.value eq "x"`, `userName eq "` + strings.Repeat("x", 1900) + `" or userName pr and`,
		strings.Repeat("(", 20) + `userName pr` + strings.Repeat(")", 20), strings.TrimSuffix(strings.Repeat(`userName pr and `, 60), " and "), `userName eq 1`, `userName eq {"a":1}`} {
		p.ask("GET", "/Users?filter="+url.QueryEscape(filter), nil).fails(http.StatusBadRequest, "invalidFilter")
	}
	for filter, want := range map[string]float64{`members.value eq "` + ada + `"`: 1, `members[value eq "` + ada + `"]`: 1, `members eq "` + bob + `"`: 0, `displayName sw "read"`: 1, `displayName eq "READERS" and id pr`: 1, `members eq "x"`: 0} {
		p.ask("GET", "/Groups?filter="+url.QueryEscape(filter), nil).is(http.StatusOK).says(kv{"totalResults": want})
	}
	p.ask("GET", "/Groups?filter="+url.QueryEscape(`displayName pr or members eq "`+ada+`"`), nil).fails(http.StatusBadRequest, "invalidFilter")
}

func TestOnlyWhatIsAskedForIsShown(t *testing.T) { // RFC 7644 section 3.9
	p := newWorld(t).provider(t, "Acme")
	id := p.add("ada@example.test", "a1")
	p.ask("GET", "/Users/"+id+"?attributes=userName,emails.value", nil).is(http.StatusOK).says(kv{"id": id, "userName": "ada@example.test", "emails.0.value": "ada@example.test", "active": nil, "externalId": nil, "meta.resourceType": "User"})
	p.ask("GET", "/Users/"+id+"?attributes=URN:ietf:params:scim:schemas:core:2.0:User:DISPLAYNAME", nil).is(http.StatusOK).says(kv{"displayName": "Somebody", "userName": nil})
	p.ask("GET", "/Users?excludedAttributes=emails,active,id", nil).is(http.StatusOK).says(kv{"Resources.1.emails": nil, "Resources.1.active": nil, "Resources.1.id": id, "Resources.1.externalId": "a1"})
}
