package clean

import (
	"regexp"
	"strings"

	"github.com/redoubt-dev/redoubt/layer/input/richtext/internal/allowlist"
)

// A link is written with the characters of RFC 3986 §2 and in one way only: no spaces that a browser would strip, no backslashes that
// it would turn around, no name and password before the host, which make a link seem to lead elsewhere.
const (
	escaped = `%[0-9A-Fa-f]{2}`
	host    = `(?:[A-Za-z0-9._-]|%[89A-Fa-f][0-9A-Fa-f])+(?::[0-9]{1,5})?` // letters of other scripts come escaped
	rest    = `(?:[/?#](?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|` + escaped + `)*)?`
	mailbox = `[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+`
)

// form is what an attribute's value must look like, whole.
var form = map[string]*regexp.Regexp{
	"href":  regexp.MustCompile(`^(?:` + web() + `://` + host + rest + `|(?i:mailto):` + mailbox + `)$`),
	"src":   regexp.MustCompile(`^` + regexp.QuoteMeta(allowlist.FileRoute) + `[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9]+)?$`),
	"alt":   regexp.MustCompile(`^(?s:.*)$`),
	"start": regexp.MustCompile(`^[0-9]{1,9}$`),
}

// web is an expression for the schemes that have a host: all but mailto.
func web() string {
	var names []string
	for _, s := range allowlist.Schemes() {
		if s != "mailto" {
			names = append(names, s)
		}
	}
	return `(?i:` + strings.Join(names, "|") + `)`
}

// longest bounds an attribute's value.
var longest = map[string]int{
	"href":  allowlist.MaxURL,
	"src":   len(allowlist.FileRoute) + allowlist.MaxName,
	"alt":   allowlist.MaxAlt,
	"start": 9,
}
