package egress

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// A target is an address that has passed: what is dialled is told by it alone, and by no other reading of what was given.
type target struct {
	scheme string // "http" or "https"
	host   string // of two labels or more, ASCII, lower case, and never a literal
	port   uint16 // 80 or 443
	uri    string // path and query, ASCII, as they go into the request's line
}

// authority is host and port in the one spelling that they have.
func (t target) authority() string {
	if t.scheme == "http" && t.port == 80 || t.scheme == "https" && t.port == 443 {
		return t.host
	}
	return t.host + ":" + strconv.Itoa(int(t.port))
}

// String is the address in its one spelling.
func (t target) String() string { return t.scheme + "://" + t.authority() + t.uri }

// Address is the one spelling of an address that Get and Send would take, without its fragment. It asks nobody: use it for a form
// that stores an address, and for telling two of them apart. The refusal has the sentence of all refusals.
func Address(raw string) (string, error) {
	t, err := parse(raw)
	if err != nil {
		return "", refuse(err)
	}
	return t.String(), nil
}

// parse reads an address, or refuses what two readers could take for two. Browsers follow the URL standard, net/url follows RFC
// 3986 section 3, and C libraries take numbers for hosts (inet_aton): what is left is where they agree.
func parse(raw string) (target, error) {
	if len(raw) > MaxURL || !utf8.ValidString(raw) || strings.ContainsFunc(raw, ambiguous) {
		return target{}, Unreadable
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Opaque != "" {
		return target{}, Unreadable
	}
	t := target{scheme: u.Scheme}
	name, port, given := strings.Cut(u.Host, ":")
	if t.port, err = portOf(u.Scheme, port, given); err != nil {
		return target{}, err
	}
	if t.host, err = hostOf(name); err != nil {
		return target{}, err
	}
	t.uri = uriOf(u)
	if len(t.String()) > MaxURL {
		return target{}, Unreadable
	}
	return t, nil
}

// ambiguous are the characters that one reader drops, another keeps and a third takes for a slash.
func ambiguous(r rune) bool { return r == '\\' || !unicode.IsGraphic(r) || unicode.IsSpace(r) }

// portOf takes the two ports of the web. Any other is a service that does not expect strangers' requests, or expects them to be ours.
func portOf(scheme, port string, given bool) (uint16, error) {
	switch {
	case port == "80", !given && scheme == "http":
		return 80, nil
	case port == "443", !given && scheme == "https":
		return 443, nil
	}
	return 0, Unreadable
}

// spelling is UTS 46 as the URL standard applies it to hosts: not transitional, and hyphens where sites have them.
var spelling = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.CheckJoiners(true),
	idna.CheckHyphens(false), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// hostOf takes the names that the public system of names can hold (RFC 1123 section 2.1), in their ASCII form.
func hostOf(name string) (string, error) {
	if len(name) > 253 {
		return "", Unreadable
	}
	host := strings.Map(lowered, name)
	if strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) || strings.Contains(host, "xn--") {
		mapped, err := spelling.ToASCII(host)
		if err != nil {
			return "", Unreadable
		}
		host = mapped
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !ldh(label) {
			return "", Unreadable
		}
	}
	if len(host) > 253 || len(labels) < 2 || !topLevel(labels[len(labels)-1]) || insideName(host) {
		return "", Unreadable
	}
	return host, nil
}

// lowered is ASCII's lower case alone: Unicode's would turn other letters, such as the Kelvin sign, into ASCII before UTS 46 saw them.
func lowered(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + ('a' - 'A')
	}
	return r
}

func ldh(label string) bool {
	for _, r := range label {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-'
}

// topLevel reports whether label can end a name. One that begins with a digit is a number to somebody, decimal, octal or hexadecimal,
// and the host then an address (URL standard, "ends in a number").
func topLevel(label string) bool { return len(label) >= 2 && label[0] >= 'a' && label[0] <= 'z' }

// insideNames are kept for inside by their registrations: RFC 6761 and 6762, RFC 7686, RFC 8375, RFC 9476, and ICANN's reservation
// of .internal. Their addresses would be refused anyway; so they are not even asked for.
var insideNames = []string{".localhost", ".local", ".internal", ".home.arpa", ".test", ".invalid", ".onion", ".alt"}

func insideName(host string) bool {
	for _, end := range insideNames {
		if strings.HasSuffix("."+host, end) {
			return true
		}
	}
	return false
}

// uriOf is the path and query in ASCII. The fragment stays here: it is none of the site's business (RFC 9110 section 4.2.5).
func uriOf(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery == "" {
		return path
	}
	var query strings.Builder
	for _, b := range []byte(u.RawQuery) {
		if b >= utf8.RuneSelf || b == '"' || b == '<' || b == '>' {
			query.WriteString("%" + strings.ToUpper(strconv.FormatUint(uint64(b), 16)))
		} else {
			query.WriteByte(b)
		}
	}
	return path + "?" + query.String()
}

// follow reads where an answer of t leads. It is read as a fresh address, with nothing taken over but the base. Three slashes begin a
// path to net/url and a host to browsers.
func (t target) follow(locations []string) (target, error) {
	if len(locations) != 1 || len(locations[0]) > MaxURL || strings.ContainsFunc(locations[0], ambiguous) || strings.HasPrefix(locations[0], "///") {
		return target{}, Redirected
	}
	base, err := url.Parse(t.String())
	if err != nil {
		return target{}, Redirected
	}
	u, err := base.Parse(locations[0])
	if err != nil {
		return target{}, Redirected
	}
	next, err := parse(u.String())
	if err != nil || t.scheme == "https" && next.scheme == "http" {
		return target{}, Redirected
	}
	return next, nil
}
