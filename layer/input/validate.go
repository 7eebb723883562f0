package input

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redoubt-dev/redoubt/layer"
)

// A node is one submitted value, read but not yet believed. Its kind is a JSON kind as jsontext writes it ('{' '[' '"' '0' 't'
// 'f' 'n'), typed for a value that came as bare text (path, query, header, form), sent for a file, or many for such values that were
// repeated.
type node struct {
	kind    byte
	text    string   // of '"' and typed: the text; of '0': the literal
	members []member // of '{'; of '[' and many, without names
	file    Upload   // of sent
}

const (
	typed byte = 'x'
	sent  byte = 'u'
	many  byte = 'm'
)

type member struct {
	name  string
	value node
}

// absent reports whether n says nothing: a text box left empty is sent as an empty text.
func (n node) absent() bool { return n.kind == 0 || n.kind == typed && n.text == "" }

func (n node) member(name string) node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return node{}
}

// maxFaults bounds the answer to a request that is wrong everywhere (SYSTEM T6).
const maxFaults = 100

// A checker compares nodes with shapes, writes what fits into a scratch value and collects everything that does not.
type checker struct{ faults []layer.Field }

func (c *checker) fault(at, detail string) {
	switch n := len(c.faults); {
	case n < maxFaults:
		c.faults = append(c.faults, layer.Field{Name: at, Detail: detail})
	case n == maxFaults:
		c.faults = append(c.faults, layer.Field{Detail: "more is wrong than is listed here"})
	}
}

// object checks the declared fields in their order, then what was sent beside them (SYSTEM N1, A5).
func (c *checker) object(fields []*field, n node, at string, dst reflect.Value) {
	for _, f := range fields {
		value := n.member(f.name)
		switch {
		case !value.absent():
			c.value(f.shape, value, join(at, f.name), dst.FieldByIndex(f.index))
		case !f.optional:
			c.fault(join(at, f.name), "is required")
		}
	}
	nameless := false
	for _, m := range n.members {
		switch {
		case slices.ContainsFunc(fields, func(f *field) bool { return f.name == m.name }):
		case plainName.MatchString(m.name):
			c.fault(join(at, m.name), "is not a known field")
		case !nameless: // a name that is not plain is not repeated to anyone, and said once
			nameless = true
			c.fault(at, "has an unknown field")
		}
	}
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// value checks one value of any shape. dst is scratch, so that it does not matter what is left in it after a fault.
func (c *checker) value(s *shape, n node, at string, dst reflect.Value) {
	if n.kind == 'n' {
		if !s.nullable {
			c.fault(at, "must not be null")
		}
		return
	}
	if s.nullable {
		dst.Set(reflect.New(s.typ))
		dst = dst.Elem()
	}
	switch {
	case s.kind == object && n.kind == '{':
		c.object(s.fields, n, at, dst)
	case s.kind == list && n.kind != '{':
		c.list(s, n, at, dst)
	case n.kind == many:
		c.fault(at, "must be given once")
	default:
		if detail := s.scalar(n, dst); detail != "" {
			c.fault(at, detail)
		}
	}
}

func (c *checker) list(s *shape, n node, at string, dst reflect.Value) {
	switch n.kind {
	case typed, sent:
		n.members = []member{{value: n}}
	case '[', many:
	default:
		c.fault(at, s.kind.must())
		return
	}
	count := len(n.members)
	if count < s.short || count > s.long {
		c.fault(at, "must have "+between(s.short, s.long, "entry", "entries"))
		return
	}
	dst.Set(reflect.MakeSlice(s.typ, count, count))
	for i, item := range n.members {
		c.value(s.item, item.value, at+"["+strconv.Itoa(i)+"]", dst.Index(i))
	}
}

// scalar checks a single value, writes it into dst and returns what is wrong with it, or nothing.
func (s *shape) scalar(n node, dst reflect.Value) string {
	switch s.kind {
	case text:
		return s.text(n, dst)
	case boolean:
		return s.boolean(n, dst)
	case integer:
		return s.integer(n, dst)
	case number:
		return s.number(n, dst)
	case moment:
		return s.moment(n, dst)
	case file:
		return s.received(n, dst)
	}
	return s.kind.must()
}

// received takes a file over. That it keeps its bound was found while it arrived.
func (s *shape) received(n node, dst reflect.Value) string {
	if n.kind != sent {
		return s.kind.must()
	}
	dst.Set(reflect.ValueOf(n.file))
	return ""
}

// try checks text against s and forgets it.
func (s *shape) try(value string) string {
	return s.scalar(node{kind: typed, text: value}, reflect.New(s.typ).Elem())
}

// A kind as the end of "does not fit …".
func (k kind) String() string {
	return [...]string{"text", "a boolean", "a whole number", "a number", "a time", "a struct", "a list", "a file"}[k]
}

// must says what would be right instead of a value of another kind.
func (k kind) must() string {
	return "must be " + [...]string{"text", "true or false", "a whole number", "a number", "a date and time", "an object", "a list", "a file"}[k]
}

func (s *shape) text(n node, dst reflect.Value) string {
	if n.kind != '"' && n.kind != typed {
		return s.kind.must()
	}
	value, detail := s.clean(n.text)
	if detail != "" {
		return detail
	}
	if length := utf8.RuneCountInString(value); length < s.short || length > s.long {
		return "must have " + between(s.short, s.long, "character", "characters")
	}
	if s.enum != nil && !slices.Contains(s.enum, value) {
		return "must be one of: " + strings.Join(s.enum, ", ")
	}
	if f, ok := formats[s.format]; ok {
		if value, ok = f.canonical(value); !ok {
			return f.must
		}
	}
	if s.expression != nil && !s.expression.MatchString(value) {
		if s.example != "" {
			return "must look like " + s.example
		}
		return "does not have the right form"
	}
	dst.SetString(value)
	return ""
}

// clean makes line ends "\n" and refuses what has no business in text: control characters, which end strings in C and lines in
// logs, and the characters that make text read otherwise than it is stored (Unicode TR36, "Trojan Source").
func (s *shape) clean(value string) (string, string) {
	if !utf8.ValidString(value) {
		return "", "must be text in UTF-8"
	}
	value = s.unfold(value)
	for _, r := range value {
		if detail := s.refuses(r); detail != "" {
			return "", detail
		}
	}
	return value, ""
}

// unfold gives text of several lines the line ends of Unix: browsers send those of the Internet.
func (s *shape) unfold(value string) string {
	if !s.multiline || !strings.Contains(value, "\r") {
		return value
	}
	return strings.ReplaceAll(strings.ReplaceAll(value, "\r\n", "\n"), "\r", "\n")
}

// refuses says what is wrong with r in text such as s, or nothing.
func (s *shape) refuses(r rune) string {
	switch {
	case reverses(r):
		return "must not contain characters that change the direction of text"
	case s.multiline && unlined(r):
		return "must not contain control characters"
	case !s.multiline && (unicode.IsControl(r) || r == '\u2028' || r == '\u2029'):
		return "must be a single line without control characters"
	}
	return ""
}

// unlined reports control characters other than those that lay out lines.
func unlined(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }

// reverses reports the embeddings, overrides and isolates of Unicode's bidirectional algorithm (UAX #9).
func reverses(r rune) bool { return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' }

func (s *shape) boolean(n node, dst reflect.Value) string {
	yes := n.kind == 't' || n.kind == typed && (n.text == "true" || n.text == "on") // "on" is a ticked checkbox
	no := n.kind == 'f' || n.kind == typed && n.text == "false"
	if !yes && !no {
		return s.kind.must()
	}
	dst.SetBool(yes)
	return ""
}

// One way to write each number. A whole number has no fraction and no exponent, even where they change nothing (1.0, 1e2): two
// readers that round differently would see two numbers.
var (
	wholeNumber = regexp.MustCompile(`^(?:0|-?[1-9][0-9]*)$`)
	jsonNumber  = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)
)

func (s *shape) integer(n node, dst reflect.Value) string {
	if n.kind != '0' && n.kind != typed || !wholeNumber.MatchString(n.text) {
		return s.kind.must()
	}
	value, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil || value < s.least || value > s.most {
		return s.outside()
	}
	if dst.CanInt() {
		dst.SetInt(value)
	} else {
		dst.SetUint(uint64(value))
	}
	return ""
}

func (s *shape) number(n node, dst reflect.Value) string {
	if n.kind != '0' && n.kind != typed || !jsonNumber.MatchString(n.text) {
		return s.kind.must()
	}
	value, err := strconv.ParseFloat(n.text, 64)
	if err != nil || math.IsInf(value, 0) || value < s.floor || value > s.ceil {
		return s.outside()
	}
	dst.SetFloat(value)
	return ""
}

func (s *shape) moment(n node, dst reflect.Value) string {
	f := formats[s.format]
	if n.kind != '"' && n.kind != typed || len(n.text) > f.long {
		return f.must
	}
	value, ok := f.canonical(n.text)
	if !ok {
		return f.must
	}
	var t time.Time
	if s.format == "date" {
		t, _ = time.Parse(time.DateOnly, value) // canonical has parsed it
	} else {
		_ = t.UnmarshalText([]byte(value)) // likewise
	}
	dst.Set(reflect.ValueOf(t))
	return ""
}

// A format is a named form of text.
type format struct {
	long      int                         // in code points; all are ASCII
	canonical func(string) (string, bool) // the one way to write it
	must      string
}

var formats = map[string]format{
	"uuid":      {36, canonicalUUID, "must be a UUID"},
	"date-time": {35, whole(isDateTime), "must be a date and time such as 2026-01-31T12:00:00Z"},
	"date":      {10, whole(isDate), "must be a date such as 2026-01-31"},
	"email":     {254, whole(isEmail), "must be an e-mail address"},
	"uri":       {2048, whole(isWebAddress), "must be a web address that begins with https:// or http://"},
}

func whole(ok func(string) bool) func(string) (string, bool) {
	return func(s string) (string, bool) { return s, ok(s) }
}

// canonicalUUID takes either case and gives lower case (RFC 9562 section 4), so that one id has one spelling in here.
func canonicalUUID(s string) (string, bool) {
	if len(s) != 36 {
		return "", false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F'):
			return "", false
		}
	}
	return strings.ToLower(s), true
}

// The spelling of RFC 3339 section 5.6, in capitals and to the nanosecond. The parsers of package time are laxer: they take a comma,
// and cut what is finer.
var dateTime = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$`)

func isDateTime(s string) bool {
	var t time.Time
	return dateTime.MatchString(s) && t.UnmarshalText([]byte(s)) == nil && common(t.UTC())
}

func isDate(s string) bool {
	t, err := time.Parse(time.DateOnly, s)
	return err == nil && common(t)
}

// common reports whether t has four digits for its year, and a year that exists: neither databases nor ISO 8601 agree on others.
func common(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// The form that browsers check in <input type=email> (HTML, "valid e-mail address"), with dots between words only, as RFC 5321 section
// 4.1.2 has them. Quoted local parts and address literals are valid there and are how headers are injected; nobody's address has them.
var email = regexp.MustCompile(`^` + word + `(?:\.` + word + `)*@` +
	`[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)

const word = "[a-zA-Z0-9!#$%&'*+/=?^_{|}~`-]+"

func isEmail(s string) bool { return strings.IndexByte(s, '@') <= 64 && email.MatchString(s) }

// isWebAddress is an absolute http or https URL without a user, in ASCII. Other schemes run code or open files where an address
// is shown as a link. Where it leads is for the outbound guard to judge.
func isWebAddress(s string) bool {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' || r == '"' || r == '<' || r == '>' }) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil && u.Opaque == "" && isHost(u.Hostname()) && isPort(u.Port())
}

// Names of hosts, with the underscore that some have, and names that end in a number. Browsers take those for IPv4 addresses, 0x7f.1
// and 2130706433 among them (URL, "ends in a number checker"), and other readers for names.
var (
	hostName = regexp.MustCompile(`^(?:[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?\.)*[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?\.?$`)
	numbered = regexp.MustCompile(`(?:^|\.)(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?$`)
)

// isHost is a host that all readers read alike.
func isHost(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Zone() == ""
	}
	return len(host) <= 254 && hostName.MatchString(host) && !numbered.MatchString(host)
}

func isPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}

// between says a range of counts as the end of "must have …".
func between(least, most int, one, more string) string {
	if most != 1 {
		one = more
	}
	switch {
	case least == most:
		return fmt.Sprintf("exactly %d %s", most, one)
	case least == 0:
		return fmt.Sprintf("at most %d %s", most, one)
	}
	return fmt.Sprintf("between %d and %d %s", least, most, one)
}

// outside says what a number may be. Bounds that nobody wrote are those of the type and are not worth telling.
func (s *shape) outside() string {
	switch {
	case s.min != "" && s.max != "":
		return "must be between " + s.min + " and " + s.max
	case s.min != "":
		return "must be at least " + s.min + ", and not too large"
	case s.max != "":
		return "must be at most " + s.max + ", and not too small"
	}
	return "is out of range"
}
