package policy

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"golang.org/x/text/unicode/norm"
)

// inspect finds what a schema cannot know, and reports it as gravely: a name that nothing bears, a comparison that nothing meets, a
// pattern that strangers meet, a rule for everybody that does not say so.
func (p *parser) inspect(r *rule) {
	in := inspector{p, r}
	in.annotations()
	in.principal(r.ast.Principal)
	in.entities(r.ast.Principal, r.ast.Resource)
	for _, c := range r.ast.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			in.node(n)
			return true
		})
	}
	in.everybody()
	in.believed()
}

type inspector struct {
	*parser
	r *rule
}

func (in inspector) fault(needle, what, hint string) {
	in.report(in.r.file, in.r.statement, []string{needle}, what, hint)
}

// misnamed is a fault of an entity's name.
func (in inspector) misnamed(e cedar.EntityUID, what, hint string) {
	in.report(in.r.file, in.r.statement, []string{e.String(), `"` + string(e.ID) + `"`}, what, hint)
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (in inspector) annotations() {
	for _, a := range in.r.ast.Annotations {
		value, needle := string(a.Value), "@"+string(a.Key)
		switch a.Key {
		case "id":
			in.r.id = value
			if !idForm.MatchString(value) {
				in.fault(needle, "the id is not a word", "letters, digits, dots, dashes and underscores, 64 at most")
			} else if where, taken := in.ids[value]; taken {
				in.fault(needle, "the id is taken by "+where, "")
			}
			line, _ := position(in.r.file.Text, in.r.statement.offset)
			in.ids[value] = fmt.Sprintf("%s:%d", in.r.file.Name, line)
		case "public", "anyone", "anyprovider":
			if strings.TrimSpace(value) == "" {
				in.fault(needle, "the annotation gives no reason", needle+`("why")`)
			}
			if a.Key == "public" {
				in.r.public = value
			}
		case "note":
		default:
			in.fault(needle, "there is no such annotation", "there are @id, @public, @anyone, @anyprovider and @note")
		}
	}
}

func annotated(p *ast.Policy, key types.AnnotationKey) bool {
	return slices.ContainsFunc(p.Annotations, func(a ast.AnnotationType) bool { return a.Key == key })
}

// everybody asks a rule that lets anybody in to say so, and one that says so to do it.
func (in inspector) everybody() {
	public, anyone := annotated(in.r.ast, "public"), annotated(in.r.ast, "anyone")
	open, free := letsEverybody(in.r.ast.Principal), letsAnyPerson(in.r.ast)
	switch {
	case !in.r.permits():
		if public || anyone {
			in.fault("@", "a forbid lets nobody in, so that it is not @public or @anyone", "take the annotation away")
		}
	case open && !public:
		in.fault("principal", "this rule lets everybody in", `name a principal, or say why above the rule: @public("why")`)
	case !open && public:
		in.fault("@public", "this rule does not let everybody in", "take @public away")
	case free && !anyone:
		in.fault("principal", "this rule lets in whoever can sign on, by magic link too", `ask for a group, a domain or a provider, or say why above the rule: @anyone("why")`)
	case !free && anyone:
		in.fault("@anyone", "this rule does not let every person in", "take @anyone away")
	}
}

// believed asks a rule that goes by addresses to say whose word it takes. Each provider that is configured can say of anybody that an
// address is theirs: with one of them in a stranger's hands, so is every person whom a rule lets in by address.
func (in inspector) believed() {
	said := annotated(in.r.ast, "anyprovider")
	open := in.r.permits() && len(in.set.names.Providers) > 1 && goesByAddress(in.r.ast) && !asksForProvider(in.r.ast)
	switch {
	case open && !said:
		in.fault("principal", "any of the providers could say that somebody has this address", `add when { principal.provider == "`+in.set.names.Providers[0]+
			`" } or principal.by == "mail", or say why above the rule: @anyprovider("why")`)
	case said && !open && in.set.names.Providers != nil:
		in.fault("@anyprovider", "this rule does not go by an address alone, or there is one provider", "take @anyprovider away")
	}
}

func goesByAddress(p *ast.Policy) bool {
	if s, ok := p.Principal.(ast.ScopeTypeEq); ok && s.Entity.Type == typePerson {
		return true
	}
	return mentions(p, func(n ast.IsNode) bool {
		v, _ := n.(ast.NodeValue)
		e, _ := v.Value.(cedar.EntityUID)
		return e.Type == typePerson || attribute(n) == "principal.email" || attribute(n) == "principal.domain"
	})
}

func asksForProvider(p *ast.Policy) bool {
	switch p.Principal.(type) {
	case ast.ScopeTypeIn, ast.ScopeTypeIsIn:
		return true // in a group, which its provider alone can give
	}
	return mentions(p, func(n ast.IsNode) bool { return attribute(n) == "principal.provider" || attribute(n) == "principal.by" })
}

func mentions(p *ast.Policy, what func(ast.IsNode) bool) (found bool) {
	for _, c := range p.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			found = found || what(n)
			return true
		})
	}
	return found
}

// letsEverybody reports whether a principal's scope has nobody in it.
func letsEverybody(scope ast.IsPrincipalScopeNode) bool {
	switch s := scope.(type) {
	case ast.ScopeTypeAll:
		return true
	case ast.ScopeTypeEq:
		return s.Entity.Type == typeNobody
	case ast.ScopeTypeIn:
		return s.Entity.Type == typeNobody
	case ast.ScopeTypeIs:
		return s.Type == typeNobody
	case ast.ScopeTypeIsIn:
		return s.Type == typeNobody
	}
	return true
}

// letsAnyPerson reports whether a rule is for persons and asks nothing about them.
func letsAnyPerson(p *ast.Policy) bool {
	if s, ok := p.Principal.(ast.ScopeTypeIs); !ok || s.Type != typePerson {
		return false
	}
	return !mentions(p, func(n ast.IsNode) bool {
		v, ok := n.(ast.NodeTypeVariable)
		return ok && v.Name == "principal"
	})
}

func (in inspector) principal(scope ast.IsPrincipalScopeNode) {
	if s, ok := scope.(ast.ScopeTypeIn); ok && s.Entity.Type != typeGroup {
		in.misnamed(s.Entity, "a principal is in a Group and in nothing else", "write == for a Person or a Service")
	}
}

// entities checks the names in scopes.
func (in inspector) entities(scopes ...ast.IsScopeNode) {
	for _, scope := range scopes {
		switch s := scope.(type) {
		case ast.ScopeTypeEq:
			in.entity(s.Entity)
		case ast.ScopeTypeIn:
			in.entity(s.Entity)
		case ast.ScopeTypeIsIn:
			in.entity(s.Entity)
		}
	}
}

// node checks one node of a condition; its children come by themselves.
func (in inspector) node(n ast.IsNode) {
	switch v := n.(type) {
	case ast.NodeValue:
		if e, ok := v.Value.(cedar.EntityUID); ok {
			in.entity(e)
		}
	case ast.NodeTypeIn:
		in.variable(v.Left, "`in`")
	case ast.NodeTypeIsIn:
		in.variable(v.Left, "`in`")
	case ast.NodeTypeAccess:
		in.variable(v.Arg, "a dot")
	case ast.NodeTypeHas:
		in.variable(v.Arg, "`has`")
	case ast.NodeTypeLike:
		in.like(v)
	case ast.NodeTypeEquals:
		in.compared(v.Left, v.Right)
	case ast.NodeTypeNotEquals:
		in.compared(v.Left, v.Right)
	case ast.NodeTypeContains:
		if set, ok := v.Left.(ast.NodeTypeSet); ok {
			for _, e := range set.Elements {
				in.compared(v.Right, e)
			}
		}
	case ast.NodeTypeExtensionCall:
		in.call(v)
	}
}

// variable asks for one of the four variables: of anything else that a rule could name, nothing is known here, so that Cedar would
// find it without parents or attributes.
func (in inspector) variable(n ast.IsNode, before string) {
	if v, ok := n.(ast.NodeTypeExtensionCall); ok && v.Name == "ip" {
		return
	}
	if _, ok := n.(ast.NodeTypeVariable); !ok {
		in.fault("", "what stands before "+before+" is not principal, action, resource or context", "")
	}
}

// attribute is the name of the principal's attribute that n is.
func attribute(n ast.IsNode) string {
	if a, ok := n.(ast.NodeTypeAccess); ok {
		if v, ok := a.Arg.(ast.NodeTypeVariable); ok {
			return string(v.Name) + "." + string(a.Value)
		}
	}
	return ""
}

// compared checks that a literal can be met by what it is compared with.
func (in inspector) compared(a, b ast.IsNode) {
	if attribute(a) == "" {
		a, b = b, a
	}
	name := attribute(a)
	if call, ok := b.(ast.NodeTypeExtensionCall); ok && name == "context.network" {
		if prefix, ok := literalNetwork(call); ok && !prefix.IsSingleIP() {
			in.fault(`"`+prefix.String(), "an address is never equal to a network", "write context.network.isInRange(ip(…))")
		}
	}
	value, ok := b.(ast.NodeValue)
	text, isString := value.Value.(cedar.String)
	if !ok || !isString {
		return
	}
	in.spelled(name, string(text))
}

// spelled checks the spelling of what an attribute is compared with.
func (in inspector) spelled(name, text string) {
	needle := `"` + text + `"`
	switch name {
	case "principal.email":
		if text != canonicalEmail(text) || text == "" {
			in.fault(needle, "no address is spelled like this", "addresses are compared in lower case, ASCII alone")
		}
	case "principal.domain":
		if !isDomain(text) || text != strings.ToLower(text) {
			in.fault(needle, "no domain is spelled like this", "domains are compared in lower case, without @, ASCII alone")
		}
	case "principal.by":
		if text != "provider" && text != "mail" {
			in.fault(needle, "a person is here by provider or by mail", "")
		}
	case "principal.provider":
		if in.set.names.Providers != nil && !slices.Contains(in.set.names.Providers, text) {
			in.fault(needle, "there is no such provider", "there are: "+strings.Join(in.set.names.Providers, ", "))
		}
	case "principal.subject":
		if text == "" {
			in.fault(needle, "nobody has an empty subject", "")
		}
	}
}

// like refuses a pattern that a stranger's address meets: "*acme.test" is met by bob@notacme.test, and "admin@*" at any domain.
func (in inspector) like(v ast.NodeTypeLike) {
	name, pattern := attribute(v.Arg), string(v.Value.MarshalCedar())
	needle := pattern
	body := strings.Trim(pattern, `"`)
	switch {
	case name != "principal.email" && name != "principal.domain":
		in.fault("like", "only principal.email and principal.domain are compared by pattern", "paths are compared with == and in")
	case strings.HasSuffix(body, "*"):
		in.fault(needle, "a pattern that ends with a star is met at everybody's domain", "end it with a domain")
	case strings.ToLower(body) != body || !plain(body):
		in.fault(needle, "no address meets this pattern", "addresses are compared in lower case, ASCII alone")
	case name == "principal.email" && !emailPattern(body):
		in.fault(needle, "strangers' addresses meet this pattern", `the last star is followed by a whole domain: "*@acme.test", "*@*.acme.test"`)
	case name == "principal.domain" && strings.LastIndex(body, "*") >= 0 && !domainPattern(body):
		in.fault(needle, "strangers' domains meet this pattern", `the last star is followed by a dot and a whole domain: "*.acme.test"`)
	}
}

// emailPattern reports whether what follows the last star pins down a domain: "@acme.test", or ".acme.test" behind an @.
func emailPattern(body string) bool {
	at := strings.LastIndex(body, "@")
	if at < 0 {
		return false
	}
	domain := body[at+1:]
	return !strings.Contains(domain, "*") && isDomain(domain) || domainPattern(domain)
}

func domainPattern(body string) bool {
	rest := body[strings.LastIndex(body, "*")+1:]
	domain, ok := strings.CutPrefix(rest, ".")
	return ok && isDomain(domain) && strings.Contains(domain, ".")
}

var functions = []types.Path{"ip", "isInRange", "isLoopback", "isMulticast", "isIpv4", "isIpv6"}

func (in inspector) call(v ast.NodeTypeExtensionCall) {
	if !slices.Contains(functions, v.Name) {
		in.fault(string(v.Name), "there is no such function here", "there are ip, isInRange, isLoopback, isMulticast, isIpv4 and isIpv6")
		return
	}
	prefix, ok := literalNetwork(v)
	if !ok {
		return
	}
	switch {
	case prefix.Addr().Is4In6():
		in.fault(`"`, "no client has an IPv4 address in IPv6's notation", "write it as IPv4")
	case prefix != prefix.Masked():
		in.fault(`"`+prefix.String(), "the network has bits beyond its length", "write "+prefix.Masked().String())
	}
}

// literalNetwork is the argument of ip("…").
func literalNetwork(v ast.NodeTypeExtensionCall) (netip.Prefix, bool) {
	if v.Name != "ip" || len(v.Args) != 1 {
		return netip.Prefix{}, false
	}
	value, ok := v.Args[0].(ast.NodeValue)
	text, isString := value.Value.(cedar.String)
	if !ok || !isString {
		return netip.Prefix{}, false
	}
	ip, err := types.ParseIPAddr(string(text))
	return ip.Prefix(), err == nil // the validator reports what cannot be read
}

// entity checks that a named entity can exist.
func (in inspector) entity(e cedar.EntityUID) {
	id := string(e.ID)
	switch e.Type {
	case typeHost:
		if !in.set.hosts[id] {
			in.misnamed(e, "this edge does not serve the host", in.hostHint(id))
		}
	case typePath:
		in.path(e)
	case typePerson:
		if id == "" || id != canonicalEmail(id) {
			in.misnamed(e, "nobody has this address", "addresses are compared in lower case, ASCII alone")
		}
	case typeGroup:
		in.group(e)
	case typeService:
		if id == "" || in.set.names.Services != nil && !slices.Contains(in.set.names.Services, id) {
			in.misnamed(e, "there is no such service", "there are: "+strings.Join(in.set.names.Services, ", "))
		}
	case typeNobody:
		if e != nobody {
			in.misnamed(e, "nobody has one name", `write Nobody::"nobody"`)
		}
	}
}

func (in inspector) group(e cedar.EntityUID) {
	provider, name, ok := strings.Cut(string(e.ID), "/")
	switch {
	case !ok || provider == "" || name == "":
		in.misnamed(e, "a group's name begins with its provider's", `write Group::"provider/group"`)
	case in.set.names.Providers != nil && !slices.Contains(in.set.names.Providers, provider):
		in.misnamed(e, "there is no such provider", "there are: "+strings.Join(in.set.names.Providers, ", "))
	}
}

func (in inspector) hostHint(id string) string {
	if h := canonicalHost(strings.TrimSuffix(id, ".")); in.set.hosts[h] && h != id {
		return "write " + h
	}
	return "it serves " + strings.Join(in.set.names.Hosts, ", ")
}

// path checks a path's name: it must be spelled as a request's would be once it is read.
func (in inspector) path(e cedar.EntityUID) {
	id := string(e.ID)
	host, rest, ok := strings.Cut(id, "/")
	if !ok {
		in.misnamed(e, "the path has no slash", `write Host::"`+id+`" for the whole host, or Path::"`+id+`/" for its home page`)
		return
	}
	if !in.set.hosts[host] {
		in.misnamed(e, "this edge does not serve the host of the path", in.hostHint(host))
		return
	}
	if what, hint := spelling(rest); what != "" {
		in.misnamed(e, what, hint)
	}
}

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// spelling says what is wrong with the path after a host's slash.
func spelling(rest string) (what, hint string) {
	switch {
	case rest == "":
		return "", ""
	case strings.HasSuffix(rest, "/"):
		return "the path ends with a slash", "leave it out: == is the path alone and `in` has everything beneath"
	case strings.HasPrefix(rest, "/") || strings.Contains(rest, "//"):
		return "the path has an empty segment", "no request that passes the edge has one"
	case escape.MatchString(rest):
		return "the path is escaped", "paths are compared decoded: write the letters themselves"
	case strings.ContainsAny(rest, "?#"):
		return "the path has a query", "queries are never compared"
	case strings.Contains(rest, "*"):
		return "the path has a star", "there are no wildcards: `in` has everything beneath"
	case strings.Contains(rest, ";"):
		return "the path has parameters", "leave them out: a rule that shuts a path out shuts it out with any"
	case strings.ContainsFunc(rest, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' || c == '\ufffd' }):
		return "the path has a character that no request's has", ""
	case !norm.NFC.IsNormalString(rest):
		return "the path's letters are not in their composed form", "write it in Unicode's form C"
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if segment == "." || segment == ".." {
			return "the path has a dot segment", "no request that passes the edge has one"
		}
		if strings.TrimRight(segment, ". ") != segment {
			return "a segment of the path ends with a dot or a blank", "some systems leave it out"
		}
	}
	if strings.Count(rest, "/") >= MaxSegments || len(rest) > MaxPath {
		return "the path is longer than any that is judged", ""
	}
	return "", ""
}

// literalPlace reads a path's name that path has found good.
func literalPlace(id string) (place, bool) {
	host := strings.IndexByte(id, '/')
	if host <= 0 {
		return place{}, false
	}
	return place{id: id, host: host}, true
}
