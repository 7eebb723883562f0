package attached

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Limits are what a form's file field takes, for telling people before they have sent it. Whether it fits, the route's schema decides.
type Limits struct {
	Accept string // as the attribute of that name: media types and extensions; empty names none
	Most   int    // files at once; zero for no form with files
	Bytes  int64  // of each
}

// LimitsOf reads the limits from the field of T that the schema is made of, so that the two cannot part. A field that is not there is a
// form without files.
func LimitsOf[T any](field string) Limits {
	f, ok := reflect.TypeFor[T]().FieldByName(field)
	if !ok {
		return Limits{}
	}
	limits := Limits{Accept: f.Tag.Get("accept"), Most: 1}
	limits.Bytes, _ = strconv.ParseInt(f.Tag.Get("maxBytes"), 10, 64) // a tag that is no number stops the start elsewhere
	if f.Type.Kind() == reflect.Slice {
		limits.Most, _ = strconv.Atoi(f.Tag.Get("maxItems"))
	}
	return limits
}

// Weight is how large each file may be, in words.
func (l Limits) Weight() string { return strconv.FormatInt(l.Bytes>>20, 10) + " MB" }

// Pictures are those media types among Accept that are pictures', for a field that takes nothing else.
func (l Limits) Pictures() string {
	return strings.Join(slices.DeleteFunc(strings.Split(l.Accept, ","), func(s string) bool { return !strings.HasPrefix(s, "image/") }), ",")
}
