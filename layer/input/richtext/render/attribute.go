package render

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/redoubt-dev/redoubt/layer/input/richtext/internal/allowlist"
)

// attributes are those with which e is written; not ok if the one that it needs is missing or says what it may not.
func (b *builder) attributes(e *allowlist.Element, n *html.Node) (all map[string]string, ok bool) {
	set := func(name, value string) {
		if all == nil {
			all = map[string]string{}
		}
		all[name] = value
	}
	for _, name := range e.Attributes {
		if value, ok := b.value(name, n); ok {
			set(name, value)
		} else if name == e.Required {
			return nil, false
		}
	}
	for _, a := range e.Forced {
		set(a.Name, a.Value)
	}
	return all, true
}

// value is the value of n's attribute in the form in which it is written; not ok if it is not there or may not be written.
func (b *builder) value(name string, n *html.Node) (string, bool) {
	i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Namespace == "" && a.Key == name })
	value := ""
	if i >= 0 {
		value = strings.Map(blank, strings.Map(legible, newlines.Replace(n.Attr[i].Val)))
	}
	switch name {
	case "href":
		return link(value)
	case "src":
		return value, b.image(value)
	case "alt":
		if len(value) > allowlist.MaxAlt {
			value = ""
		}
		return value, true // an image always says what it shows, be it nothing (HTML §4.8.4.4)
	case "start":
		return value, value != "" && len(value) <= 9 && strings.Trim(value, digits) == ""
	}
	return "", false
}

func blank(r rune) rune {
	if r == '\n' || r == '\t' {
		return ' '
	}
	return r
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyz"
	words   = letters + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + digits
	hexes   = digits + "abcdefABCDEF"
)

// image reports whether src is one of our files, and one that this text may show.
func (b *builder) image(src string) bool {
	name, ours := strings.CutPrefix(src, allowlist.FileRoute)
	stem, extension, dotted := strings.Cut(name, ".")
	switch {
	case !ours || len(name) > allowlist.MaxName || stem == "" || strings.ContainsRune("_-", rune(stem[0])):
		return false
	case strings.Trim(stem, letters+digits+"_-") != "" || strings.Trim(extension, letters+digits) != "" || dotted && extension == "":
		return false
	}
	return b.policy.Image != nil && b.policy.Image(name)
}

// link reads an address and writes it anew, so that nothing is left of which a browser could make something else.
func link(address string) (string, bool) {
	if len(address) > allowlist.MaxURL || !spelled(address) {
		return "", false
	}
	u, err := url.Parse(address)
	if err != nil || !slices.Contains(allowlist.Schemes(), u.Scheme) {
		return "", false
	}
	if u.Scheme == "mailto" {
		local, domain, _ := strings.Cut(u.Opaque, "@")
		addressed := local != "" && domain != "" && strings.Trim(local, words+"._+-") == "" && strings.Trim(domain, words+".-") == ""
		return u.Scheme + ":" + u.Opaque, addressed && len(address) == len("mailto:")+len(u.Opaque)
	}
	return u.String(), u.Opaque == "" && u.User == nil && isHost(u.Host)
}

// spelled reports whether every character of an address is one of RFC 3986 §2, and every percent sign begins an escape.
func spelled(address string) bool {
	for i := 0; i < len(address); i++ {
		c := address[i]
		if c == '%' && (i+2 >= len(address) || strings.IndexByte(hexes, address[i+1]) < 0 || strings.IndexByte(hexes, address[i+2]) < 0) {
			return false
		}
		if c != '%' && strings.IndexByte(words+"-._~:/?#[]@!$&'()*+,;=", c) < 0 {
			return false
		}
	}
	return true
}

// isHost takes names and IPv4 addresses, with a port or without. Letters of other scripts were escaped, and are not any more.
func isHost(host string) bool {
	name, port, has := strings.Cut(host, ":")
	if has && (port == "" || len(port) > 5 || strings.Trim(port, digits) != "") {
		return false
	}
	other := func(r rune) bool { return r < 0x80 && !strings.ContainsRune(words+"._-", r) }
	return name != "" && !strings.ContainsFunc(name, other)
}
