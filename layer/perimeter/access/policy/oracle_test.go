package policy_test

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// naive is the world of a request as somebody would write it down who has not seen how the package does it: every entity, each with
// its next parent, from the standard library's reading of the path.
func naive(r policy.Request) (cedar.EntityMap, cedar.Request) {
	decoded, err := url.PathUnescape(r.Path)
	if err != nil {
		decoded = r.Path
	}
	return naiveAt(r, decoded)
}

func naiveAt(r policy.Request, path string) (cedar.EntityMap, cedar.Request) {
	all := cedar.EntityMap{}
	add := func(kind cedar.EntityType, id string, attributes cedar.RecordMap, parents ...cedar.EntityUID) cedar.EntityUID {
		uid := cedar.NewEntityUID(kind, cedar.String(id))
		all[uid] = cedar.Entity{UID: uid, Parents: cedar.NewEntityUIDSet(parents...), Attributes: cedar.NewRecord(attributes)}
		return uid
	}
	at := add("Host", r.Host, nil)
	at = add("Path", r.Host+"/", nil, at)
	for i := 1; i <= len(path); i++ {
		if i == len(path) || path[i] == '/' {
			if id := r.Host + path[:i]; id != r.Host+"/" {
				at = add("Path", id, nil, at)
			}
		}
	}
	group := "write"
	if slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, r.Method) {
		group = "read"
	}
	method := r.Method
	if !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}, method) {
		method = "other"
	}
	action := add("Action", method, nil, add("Action", group, nil))
	who := add("Nobody", "nobody", nil)
	switch r.Who.By {
	case assertion.ByService:
		who = add("Service", r.Who.Subject, nil)
	case assertion.ByProvider, assertion.ByMail:
		var groups []cedar.EntityUID
		for _, g := range r.Who.Groups {
			if r.Who.By == assertion.ByProvider {
				groups = append(groups, add("Group", r.Who.Provider+"/"+g, nil))
			}
		}
		email := strings.ToLower(r.Who.Email)
		_, domain, _ := strings.Cut(email, "@")
		who = add("Person", email, cedar.RecordMap{
			"by": cedar.String(r.Who.By), "provider": cedar.String(r.Who.Provider), "subject": cedar.String(r.Who.Subject),
			"email": cedar.String(email), "domain": cedar.String(domain),
		}, groups...)
	}
	client := r.Client.Unmap()
	network := cedar.IPAddr(netip.PrefixFrom(client, client.BitLen()))
	return all, cedar.Request{Principal: who, Action: action, Resource: at, Context: cedar.NewRecord(cedar.RecordMap{"network": network})}
}
