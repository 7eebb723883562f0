package scim_test

import (
	"testing"

	"github.com/redoubt-dev/redoubt/layer/identity/scim"
)

func FuzzFilter(f *testing.F) {
	for _, s := range []string{`userName eq "x"`, `not (active eq true) and emails[type eq "work" and value co "@"] or meta.created ge "2020-01-01T00:00:00Z"`, `((((`, `a eq "\"`, `userName pr or`, `emails[`, `urn:ietf:params:scim:schemas:core:2.0:User:name.familyName sw "a"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { scim.CheckFilter(t, s) })
}

func FuzzPatch(f *testing.F) {
	for _, s := range []string{`{"op":"add","path":"emails[type eq \"work\"].value","value":"x"}`, `{"op":"replace","value":{"active":"False","name.givenName":"a"}}`, `{"op":"remove","path":"emails"}`,
		`{"op":"add","path":"members","value":[{"value":"00000000-0000-4000-8000-000000000000"}]}`, `{"op":"remove","path":"members[value eq \"00000000-0000-4000-8000-000000000000\"]"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { scim.CheckPatch(t, s) })
}
