package input

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
)

// Rules are the bounds of one value, as its tags and its type give them.
type rules struct {
	least, most  int64   // a whole number; most is also the bytes of a file
	floor, ceil  float64 // any other number
	min, max     string  // the same as they were written, for people; empty for no bound but the type's
	short, long  int     // text, in code points; items of a list
	pattern      string
	expression   *regexp.Regexp
	enum         []string
	format       string
	multiline    bool
	secret       bool
	accept       []string // of files
	doc, example string
}

// Constrained is implemented by a type that carries its own bounds, so that they need not be repeated on each field:
//
//	func (ProductID) Constraints() reflect.StructTag { return `format:"uuid"` }
//
// The tags of a field take precedence over those of its type.
type Constrained interface{ Constraints() reflect.StructTag }

var constrained = reflect.TypeFor[Constrained]()

// The identifiers of package layer, which knows nothing of input.
var known = map[reflect.Type]reflect.StructTag{
	reflect.TypeFor[layer.OrgID]():     `format:"uuid"`,
	reflect.TypeFor[layer.ProfileID](): `format:"uuid"`,
	reflect.TypeFor[layer.PersonID]():  `format:"uuid"`,
}

// inherit adds to tags what t says of itself. A tag that cannot be read is left in under its own text, where compile refuses it.
func inherit(tags map[string]string, t reflect.Type) {
	tag, ok := known[t]
	if !ok && reflect.PointerTo(t).Implements(constrained) {
		tag = reflect.New(t).Interface().(Constrained).Constraints()
	}
	own, err := parseTag(tag)
	if err != nil {
		own = map[string]string{string(tag): ""}
	}
	for key, value := range own {
		if _, set := tags[key]; !set {
			tags[key] = value
		}
	}
}

var tagPair = regexp.MustCompile(`^([A-Za-z]+):("(?:[^"\\]|\\.)*")(?: +|$)`)

// parseTag reads every pair of a tag, so that a misspelt constraint is a mistake and not a constraint less.
func parseTag(tag reflect.StructTag) (map[string]string, error) {
	pairs := map[string]string{}
	for rest := strings.TrimSpace(string(tag)); rest != ""; {
		m := tagPair.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("a tag that cannot be read: %s", rest)
		}
		value, err := strconv.Unquote(m[2])
		if _, twice := pairs[m[1]]; err != nil || twice {
			return nil, fmt.Errorf("a tag that cannot be read, or stands twice: %s", m[1])
		}
		pairs[m[1]] = value
		rest = rest[len(m[0]):]
	}
	return pairs, nil
}

// The tags that each kind of value understands, besides doc.
var understood = [...][]string{
	text:    {"minLength", "maxLength", "pattern", "enum", "format", "multiline", "secret", "example"},
	boolean: {"example"},
	integer: {"minimum", "maximum", "example"},
	number:  {"minimum", "maximum", "example"},
	moment:  {"format", "example"},
	object:  {},
	list:    {"minItems", "maxItems"},
	file:    {"maxBytes", "accept"},
}

// compile fills the rules of s from tags and returns what is wrong with them.
func (r *rules) compile(s *shape, tags map[string]string) (problems []string) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if key != "doc" && !slices.Contains(understood[s.kind], key) {
			problems = append(problems, fmt.Sprintf("has the tag %s, which is unknown or does not fit %s", key, s.kind))
		}
	}
	r.doc, r.example = tags["doc"], tags["example"]
	var err error
	switch s.kind {
	case text, moment:
		err = r.compileText(s.kind, tags)
	case integer:
		err = r.compileInteger(s.typ, tags)
	case number:
		err = r.compileNumber(tags)
	case list:
		err = r.compileLengths(tags, "minItems", "maxItems")
		if err == nil && s.item.kind == file && r.long > maxFiles {
			err = fmt.Errorf("has more than %d files", maxFiles)
		}
	case file:
		err = r.compileFile(tags)
	}
	if err != nil {
		return append(problems, err.Error())
	}
	if len(problems) == 0 && r.example != "" {
		if detail := s.try(r.example); detail != "" {
			problems = append(problems, fmt.Sprintf("has an example that breaks its own rule: it %s", detail))
		}
	}
	return problems
}

// compileLengths reads a lower and an upper bound. The upper one is not optional (SYSTEM T6).
func (r *rules) compileLengths(tags map[string]string, lower, upper string) (err error) {
	if tag, ok := tags[lower]; ok {
		if r.short, err = count(tag); err != nil {
			return fmt.Errorf("has %s: %w", lower, err)
		}
	}
	tag, ok := tags[upper]
	if !ok {
		return fmt.Errorf("has no upper bound: add %s", upper)
	}
	if r.long, err = count(tag); err != nil {
		return fmt.Errorf("has %s: %w", upper, err)
	}
	if r.short > r.long {
		return fmt.Errorf("has a %s above its %s", lower, upper)
	}
	return nil
}

func count(tag string) (int, error) {
	n, err := strconv.ParseInt(tag, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a count", tag)
	}
	return int(n), nil
}

func (r *rules) compileText(k kind, tags map[string]string) error {
	for key, set := range map[string]*bool{"multiline": &r.multiline, "secret": &r.secret} {
		if value, ok := tags[key]; ok && value != "true" {
			return fmt.Errorf("has %s:%q: write \"true\" or leave it out", key, value)
		}
		_, *set = tags[key]
	}
	if r.format = tags["format"]; r.format == "" && k == moment {
		r.format = "date-time"
	}
	bounds := map[string]string{"minLength": tags["minLength"], "maxLength": tags["maxLength"]}
	maps.DeleteFunc(bounds, func(_, v string) bool { return v == "" })
	if tag, ok := tags["enum"]; ok {
		r.enum = strings.Split(tag, ",")
		if slices.Contains(r.enum, "") {
			return errors.New("has an enum with an empty value")
		}
		bounds = within(bounds, longest(r.enum))
	}
	if r.format != "" {
		f, ok := formats[r.format]
		if !ok || k == moment && !strings.HasPrefix(r.format, "date") {
			return fmt.Errorf("has the format %q, which is unknown or does not fit", r.format)
		}
		bounds = within(bounds, f.long)
	}
	if bounds["maxLength"] == "" {
		return errors.New("has no upper bound: add maxLength, enum or format")
	}
	if err := r.compileLengths(bounds, "minLength", "maxLength"); err != nil {
		return err
	}
	return r.compilePattern(tags)
}

// within sets an upper bound that follows from another rule, unless there is a written one.
func within(bounds map[string]string, most int) map[string]string {
	if _, set := bounds["maxLength"]; !set {
		bounds["maxLength"] = strconv.Itoa(most)
	}
	return bounds
}

func longest(values []string) (most int) {
	for _, v := range values {
		most = max(most, len([]rune(v)))
	}
	return most
}

func (r *rules) compilePattern(tags map[string]string) (err error) {
	if r.pattern = tags["pattern"]; r.pattern == "" {
		return nil
	}
	if r.expression, err = regexp.Compile(`\A(?:` + r.pattern + `)\z`); err != nil {
		return fmt.Errorf("has a pattern that does not compile: %w", err)
	}
	return nil
}

// compileInteger bounds a whole number by its type, then by its tags.
func (r *rules) compileInteger(t reflect.Type, tags map[string]string) (err error) {
	bits := t.Bits()
	r.least, r.most = -1<<(bits-1), 1<<(bits-1)-1
	if k := t.Kind(); k >= reflect.Uint && k <= reflect.Uint64 {
		r.least, r.most = 0, math.MaxInt64
		if bits < 64 {
			r.most = 1<<bits - 1
		}
	}
	typeLeast, typeMost := r.least, r.most
	if r.min = tags["minimum"]; r.min != "" {
		if r.least, err = strconv.ParseInt(r.min, 10, 64); err != nil || r.least < typeLeast {
			return fmt.Errorf("has the minimum %q, which is not in its type", r.min)
		}
	}
	if r.max = tags["maximum"]; r.max != "" {
		if r.most, err = strconv.ParseInt(r.max, 10, 64); err != nil || r.most > typeMost {
			return fmt.Errorf("has the maximum %q, which is not in its type", r.max)
		}
	}
	if r.least > r.most {
		return errors.New("has a minimum above its maximum")
	}
	return nil
}

func (r *rules) compileNumber(tags map[string]string) (err error) {
	r.floor, r.ceil = -math.MaxFloat64, math.MaxFloat64
	if r.min = tags["minimum"]; r.min != "" {
		if r.floor, err = finite(r.min); err != nil {
			return fmt.Errorf("has the minimum %q: %w", r.min, err)
		}
	}
	if r.max = tags["maximum"]; r.max != "" {
		if r.ceil, err = finite(r.max); err != nil {
			return fmt.Errorf("has the maximum %q: %w", r.max, err)
		}
	}
	if r.floor > r.ceil {
		return errors.New("has a minimum above its maximum")
	}
	return nil
}

// What tags may allow: bytes of one file, and files of one field.
const (
	maxFile  = 1 << 30
	maxFiles = 100
)

// A media type, a range of them, or the end of a file's name, as the attribute accept has them (HTML, "file upload").
var acceptable = regexp.MustCompile(`^(?:\.[a-z0-9]{1,16}|[a-z]+/(?:\*|[a-z0-9][a-z0-9.+-]{0,99}))$`)

func (r *rules) compileFile(tags map[string]string) (err error) {
	if r.most, err = strconv.ParseInt(tags["maxBytes"], 10, 64); err != nil || r.most < 1 || r.most > maxFile {
		return fmt.Errorf("has no upper bound: add maxBytes, from 1 to %d", maxFile)
	}
	if tag, ok := tags["accept"]; ok {
		r.accept = strings.Split(tag, ",")
		for _, one := range r.accept {
			if !acceptable.MatchString(one) {
				return fmt.Errorf("has accept with %q, which is neither a media type nor the end of a name", one)
			}
		}
	}
	return nil
}

func finite(tag string) (float64, error) {
	if !jsonNumber.MatchString(tag) {
		return 0, errors.New("not a number")
	}
	return strconv.ParseFloat(tag, 64)
}
