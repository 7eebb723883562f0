package attack

import (
	"context"
	"net/http"
)

// otherAddress is one that nobody on this machine has (RFC 5737).
const otherAddress = "203.0.113.77"

// comesFrom are the headers by which proxies tell applications where somebody comes from.
var comesFrom = []string{
	"X-Forwarded-For", "X_Forwarded_For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Cluster-Client-IP", "Fastly-Client-IP",
	"Client-IP", "X-Forwarded", "Remote-Addr", "Forwarded",
}

func addressInTheTrail() Attack {
	return Attack{
		Name: "address-in-the-trail", Threat: "T21", Group: "perimeter",
		Title:  "Bob claims in a header to come from somewhere else, and the audit trail believes him",
		Expect: []string{"perimeter/headers", "perimeter/assertion"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			bob := s.Program("bob")
			for _, name := range comesFrom {
				said := otherAddress
				if name == "Forwarded" { // RFC 7239
					said = "for=" + otherAddress
				}
				bob.Alter = func(r *http.Request) { r.Header[name] = []string{said} } // the spelling is kept
				if _, err := bob.Ask(ctx, http.MethodPost, "/api/v1/posts", map[string]string{"body": s.Canary()}); err != nil {
					return false, err
				}
			}
			return s.Seen(ctx, `select exists (select from audit.log where visit like '%' || $1 || '%')`, otherAddress)
		},
	}
}
