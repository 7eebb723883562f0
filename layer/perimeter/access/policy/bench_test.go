package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// many is a policy of the size of a company's: a rule for each of n teams and what is common.
func many(n int) string {
	var b strings.Builder
	b.WriteString(`
@public("the way in") permit(principal, action in Action::"read", resource == Path::"app.example/");
@public("pictures and styles") permit(principal, action in Action::"read", resource in Path::"app.example/assets");
permit(principal in Group::"okta/staff", action, resource in Host::"app.example");
forbid(principal, action, resource in Path::"app.example/admin") unless { context.network.isInRange(ip("10.0.0.0/8")) };
forbid(principal in Group::"okta/suspended", action, resource);
`)
	for i := range n {
		fmt.Fprintf(&b, "permit(principal in Group::\"okta/team-%d\", action, resource in Path::\"app.example/teams/%d\") when { principal.domain == \"acme.test\" };\n", i, i)
	}
	return b.String()
}

func BenchmarkDecide(b *testing.B) {
	var groups []string
	for i := range 20 {
		groups = append(groups, fmt.Sprintf("group-%d", i))
	}
	bob := assertion.SignOn{By: assertion.ByProvider, Provider: "okta", Email: "bob@acme.test", Groups: append(groups, "staff")}
	for _, c := range []struct {
		name, path string
		who        assertion.SignOn
	}{
		{"public asset, nobody", "/assets/app.css", assertion.SignOn{}},
		{"page, staff of 21 groups", "/teams/7/board", bob},
		{"odd spelling, staff", "/Teams/7/Board.json", bob},
		{"denied, nobody", "/teams/7/board", assertion.SignOn{}},
	} {
		for _, rules := range []int{10, 1000} {
			s, err := policy.Parse(policy.Names{Hosts: []string{"app.example"}}, []policy.File{{Name: "app.cedar", Text: many(rules)}})
			if err != nil {
				b.Fatal(err)
			}
			r := policy.Request{Host: "app.example", Path: c.path, Method: "GET", Client: netip.MustParseAddr("10.1.2.3"), Who: c.who}
			b.Run(fmt.Sprintf("%s, %d rules", c.name, rules), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s.Decide(r)
				}
			})
		}
	}
}

// BenchmarkPlainCedar is what one would do instead: all rules, with entities that are ready made.
func BenchmarkPlainCedar(b *testing.B) {
	for _, rules := range []int{10, 1000} {
		b.Run(fmt.Sprintf("page, staff of 21 groups, %d rules", rules), func(b *testing.B) {
			set, err := cedar.NewPolicySetFromBytes("app.cedar", []byte(many(rules)))
			if err != nil {
				b.Fatal(err)
			}
			var groups []string
			for i := range 20 {
				groups = append(groups, fmt.Sprintf("group-%d", i))
			}
			r := policy.Request{Host: "app.example", Path: "/teams/7/board", Method: "GET", Client: netip.MustParseAddr("10.1.2.3"),
				Who: assertion.SignOn{By: assertion.ByProvider, Provider: "okta", Email: "bob@acme.test", Groups: append(groups, "staff")}}
			entities, request := naive(r)
			b.ReportAllocs()
			for b.Loop() {
				cedar.Authorize(set, entities, request)
			}
		})
	}
}
