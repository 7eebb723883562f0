package policy

import (
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"
)

// A question is a request, read.
type question struct {
	world   *world
	spelled place
	method  int
	client  netip.Addr
}

// ask reads a request; why says that it is denied whatever the rules are.
func (s *Set) ask(r Request) (q question, why string) {
	host := canonicalHost(r.Host)
	if !s.hosts[host] || !plain(r.Host) { // lower case of a letter beyond ASCII may be one within
		return question{}, OtherHost
	}
	p, ok := read(host, r.Path)
	if !ok {
		return question{}, OddPath
	}
	if !r.Client.IsValid() {
		return question{}, NoAddress // a rule about networks could not be asked
	}
	if len(r.Who.Groups) > MaxGroups {
		return question{}, ManyGroups
	}
	return question{
		world: &world{who: r.Who, uid: identify(r.Who), groups: s.groups}, spelled: p, method: actionOf(r.Method), client: r.Client}, ""
}

// canonicalHost is the one spelling of a host with its port: lower case, without the port that https implies.
func canonicalHost(host string) string {
	return strings.TrimSuffix(strings.ToLower(host), ":443")
}

// careful reports whether a careless application reads another path than the one that was asked for.
func (q question) careful() bool {
	return !isCareless(q.spelled.id, q.spelled.host) || cutExtension(q.spelled.id, q.spelled.host) != q.spelled.id
}

func (q question) readCarelessly() place { return q.spelled.careless() }

// A verdict is what the rules say about one reading of a path.
type verdict struct {
	lets, shuts, erred []*rule
	unlike             bool // of two verdicts that agree on no rule that lets in
}

// judge finds the rules that are about a place and about who asks, and asks Cedar about their conditions.
func (q question) judge(x *index, p place) (v verdict) {
	var space, open [16]*rule
	asked := candidates{open[:0], x.careless}
	for _, r := range x.candidates(space[:0], p, q.method) {
		switch {
		case !q.world.meets(r.ast.Principal):
		case r.strict == nil:
			v.hold(r)
		default:
			asked.all = append(asked.all, r)
		}
	}
	if len(asked.all) > 0 {
		q.consult(asked, p, &v)
	}
	return v
}

func (v *verdict) hold(r *rule) {
	if r.permits() {
		v.lets = append(v.lets, r)
	} else {
		v.shuts = append(v.shuts, r)
	}
}

// consult asks Cedar about conditions.
func (q question) consult(asked candidates, p place, v *verdict) {
	q.world.stand(p)
	var context cedar.Record
	for _, r := range asked.all {
		q.world.attributes = q.world.attributes || r.attribute
		if r.network && context.Len() == 0 {
			context = contextOf(q.client)
		}
	}
	_, diagnostic := cedar.Authorize(asked, q.world, cedar.Request{
		Principal: q.world.uid, Action: actions[q.method].UID, Resource: cedar.NewEntityUID(typePath, cedar.String(p.id)), Context: context,
	})
	for _, e := range diagnostic.Errors {
		v.erred = append(v.erred, asked.find(e.PolicyID))
	}
	for _, reason := range diagnostic.Reasons {
		v.hold(asked.find(reason.PolicyID))
	}
	// Cedar names only the rules that shut out, if there are any: which let in does not matter then.
	slices.SortFunc(v.lets, func(a, b *rule) int { return a.number - b.number })
	slices.SortFunc(v.shuts, func(a, b *rule) int { return a.number - b.number })
}

// candidates is what Cedar iterates over. A rule's name is its place among them.
type candidates struct {
	all      []*rule
	careless bool
}

// All implements cedar.PolicyIterator.
func (c candidates) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, r := range c.all {
			policy := r.strict
			if c.careless {
				policy = r.careless
			}
			if !yield(r.key, policy) {
				return
			}
		}
	}
}

func (c candidates) find(key cedar.PolicyID) *rule {
	number, _ := strconv.Atoi(string(key))
	i, _ := slices.BinarySearchFunc(c.all, number, func(r *rule, n int) int { return r.number - n })
	return c.all[i]
}

// final reports that another reading cannot change a denial.
func (v verdict) final() bool { return len(v.erred) > 0 || len(v.shuts) > 0 || len(v.lets) == 0 }

// join is the verdict of two readings: what shuts out in one shuts out, and what lets in must in both.
func join(a, b verdict) verdict {
	j := verdict{shuts: append(a.shuts, b.shuts...), erred: append(a.erred, b.erred...)}
	for _, r := range a.lets {
		if slices.Contains(b.lets, r) {
			j.lets = append(j.lets, r)
		}
	}
	j.unlike = len(a.lets) > 0 && len(j.lets) == 0
	return j
}

// decision applies the order of things: an error denies, then a rule that shuts out, then the lack of one that lets in.
func (v verdict) decision() Decision {
	switch {
	case len(v.erred) > 0:
		return Decision{Rule: v.erred[0].name, Why: Erred}
	case len(v.shuts) > 0:
		return Decision{Rule: v.shuts[0].name, Why: ShutOut}
	case v.unlike:
		return Decision{Why: CarelessNot}
	case len(v.lets) == 0:
		return Decision{Why: NoRule}
	}
	d := Decision{Allow: true, Rule: v.lets[0].name, Why: LetIn}
	d.Public = slices.ContainsFunc(v.lets, func(r *rule) bool { return r.public != "" })
	return d
}
