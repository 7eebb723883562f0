package input_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
)

type recursive struct {
	Replies []recursive `json:"replies" maxItems:"3"`
}

type chain struct {
	Next *chain `json:"next,omitempty"`
}

type badTag string

func (badTag) Constraints() reflect.StructTag { return `maxLength:5` }

type paging struct {
	Cursor string `query:"cursor,omitempty" maxLength:"8"`
}

// made is a value of a type that go vet would not let one write.
func made(f reflect.StructField) any {
	f.Type = reflect.TypeFor[int]()
	return reflect.Zero(reflect.StructOf([]reflect.StructField{f})).Interface()
}

// SYSTEM N1, A5, T6: a type that would let something unbounded or undeclared in stops the program from starting.
func TestTypesThatCannotBeInput(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  any
		want string
	}{
		{"a field without a tag", struct{ Admin bool }{}, "none of the tags"},
		{"a field that only has a rule", struct {
			Admin string `maxLength:"5"`
		}{}, "none of the tags"},
		{"a field hidden from JSON", struct {
			Admin bool `json:"-"`
		}{}, "none of the tags"},
		{"an unexported field", made(reflect.StructField{Name: "admin", PkgPath: "x", Tag: `json:"admin"`}), "is unexported"},
		{"two places", struct {
			ID string `json:"id" path:"id" format:"uuid"`
		}{}, "one place only"},
		{"one name in two places", struct {
			A string `path:"id" format:"uuid"`
			B string `json:"id" format:"uuid"`
		}{}, `declares "id" twice`},
		{"names that differ by case", struct {
			A bool `json:"admin"`
			B bool `json:"Admin"`
		}{}, `declares "Admin" twice`},
		{"one name in an embedded struct", struct {
			paging
			Cursor string `query:"cursor" maxLength:"1"`
		}{}, `declares "cursor" twice`},
		{"text without a bound", struct {
			A string `json:"a"`
		}{}, "no upper bound: add maxLength, enum or format"},
		{"text with a pattern alone", struct {
			A string `json:"a" pattern:"a*"`
		}{}, "no upper bound"},
		{"a list without a bound", struct {
			A []int `json:"a"`
		}{}, "no upper bound: add maxItems"},
		{"a list of text without a bound", struct {
			A []string `json:"a" maxItems:"3"`
		}{}, "no upper bound: add maxLength"},
		{"text without a bound, nested", struct {
			A []struct {
				B string `json:"b"`
			} `json:"a" maxItems:"3"`
		}{}, "A[].B has no upper bound"},
		{"a misspelt rule", struct {
			A int `json:"a" minimun:"1"`
		}{}, "minimun, which is unknown"},
		{"the tag of a database", struct {
			A int `json:"a" db:"a"`
		}{}, "db, which is unknown"},
		{"a tag without quotes", made(reflect.StructField{Name: "A", Tag: `json:"a" minimum:1`}), "cannot be read"},
		{"a rule twice", made(reflect.StructField{Name: "A", Tag: `json:"a" minimum:"1" minimum:"2"`}), "stands twice"},
		{"a type with a tag that cannot be read", struct {
			A badTag `json:"a" maxLength:"5"`
		}{}, "unknown or does not fit"},
		{"a rule for another kind", struct {
			A int `json:"a" maxLength:"5"`
		}{}, "does not fit a whole number"},
		{"bounds crossed", struct {
			A int `json:"a" minimum:"5" maximum:"4"`
		}{}, "minimum above its maximum"},
		{"float bounds crossed", struct {
			A float64 `json:"a" minimum:"5" maximum:"4"`
		}{}, "minimum above its maximum"},
		{"lengths crossed", struct {
			A string `json:"a" minLength:"5" maxLength:"4"`
		}{}, "minLength above its maxLength"},
		{"a bound outside its type", struct {
			A int8 `json:"a" maximum:"128"`
		}{}, "not in its type"},
		{"a bound below its type", struct {
			A uint8 `json:"a" minimum:"-1"`
		}{}, "not in its type"},
		{"a bound that is no number", struct {
			A float64 `json:"a" maximum:"Inf"`
		}{}, "not a number"},
		{"a negative length", struct {
			A string `json:"a" maxLength:"-1"`
		}{}, "not a count"},
		{"a lower bound that is no number", struct {
			A float64 `json:"a" minimum:"0x1"`
		}{}, "not a number"},
		{"a lower length that is no number", struct {
			A string `json:"a" minLength:"x" maxLength:"5"`
		}{}, "not a count"},
		{"a pattern that does not compile", struct {
			A string `json:"a" maxLength:"5" pattern:"("`
		}{}, "does not compile"},
		{"an unknown format", struct {
			A string `json:"a" format:"ipv4"`
		}{}, `the format "ipv4"`},
		{"a time in the format of an id", struct {
			A time.Time `json:"a" format:"uuid"`
		}{}, `the format "uuid"`},
		{"an enum with nothing in it", struct {
			A string `json:"a" enum:"a,,b"`
		}{}, "enum with an empty value"},
		{"a flag that is not set", struct {
			A string `json:"a" maxLength:"5" multiline:"false"`
		}{}, `write "true" or leave it out`},
		{"an example that breaks its rule", struct {
			A int `json:"a" maximum:"5" example:"6"`
		}{}, "breaks its own rule"},
		{"an unknown option", struct {
			A int `json:"a,string"`
		}{}, `option "string"`},
		{"no name", struct {
			A int `json:",omitempty"`
		}{}, "not a plain name"},
		{"a name with a dot", struct {
			A int `json:"a.b"`
		}{}, "not a plain name"},
		{"the token's name", struct {
			A string `json:"_token" maxLength:"5"`
		}{}, "reserved"},
		{"an optional path", struct {
			A int `path:"a,omitempty"`
		}{}, "optional in the path"},
		{"the caller's credential", struct {
			A string `header:"Authorization" maxLength:"99"`
		}{}, "carries credentials"},
		{"the session's cookie", struct {
			A string `header:"cookie" maxLength:"99"`
		}{}, "carries credentials"},
		{"a list in a header", struct {
			A []int `header:"A" maxItems:"3"`
		}{}, "not a single value"},
		{"a list in the path", struct {
			A []int `path:"a" maxItems:"3"`
		}{}, "not a single value"},
		{"a struct in the query", struct {
			A Line `query:"a"`
		}{}, "which a query cannot carry"},
		{"a query inside the body", struct {
			A paging `json:"a"`
		}{}, "inside a nested struct"},
		{"a map", struct {
			A map[string]string `json:"a" maxLength:"5"`
		}{}, "cannot be input"},
		{"anything", struct {
			A any `json:"a"`
		}{}, "cannot be input"},
		{"bytes", struct {
			A []byte `json:"a" maxItems:"5"`
		}{}, "cannot be input"},
		{"a float32", struct {
			A float32 `json:"a"`
		}{}, "cannot be input"},
		{"an array", struct {
			A [3]int `json:"a"`
		}{}, "cannot be input"},
		{"a pointer to a pointer", struct {
			A **int `json:"a"`
		}{}, "cannot be input"},
		{"a pointer to a list", struct {
			A *[]int `json:"a" maxItems:"3"`
		}{}, "cannot be input"},
		{"lists of lists", struct {
			A [][]int `json:"a" maxItems:"3"`
		}{}, "cannot be input"},
		{"a function", struct {
			A func() `json:"a"`
		}{}, "cannot be input"},
		{"an embedded pointer", struct{ *Line }{}, "none of the tags"},
		{"a type that contains itself", recursive{}, "contains itself"},
		{"a chain", chain{}, "contains itself"},
		{"no struct", 1, "is not a struct"},
		{"a time", time.Time{}, "is not a struct"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := input.For(reflect.TypeOf(c.typ), input.ModeJSON)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error about %q", err, c.want)
			}
		})
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	_, err := input.For(reflect.TypeFor[struct {
		A string
		B string `json:"b"`
		C any    `json:"c"`
	}](), input.ModeJSON)
	if got := strings.Count(fmt.Sprint(err), "\n"); got != 3 {
		t.Errorf("got %d problems, want 3: %v", got, err)
	}
}

func TestTypesDeeperThanABodyCanBe(t *testing.T) {
	typ := reflect.TypeFor[Line]()
	for range input.MaxDepth {
		typ = reflect.StructOf([]reflect.StructField{{Name: "A", Type: typ, Tag: `json:"a"`}})
	}
	if _, err := input.For(typ, input.ModeJSON); err == nil || !strings.Contains(err.Error(), "16 deep") {
		t.Errorf("got %v", err)
	}
}

func TestModesThatCannotCarryAType(t *testing.T) {
	if _, err := input.For(reflect.TypeFor[PlaceOrder](), input.ModeForm); err == nil || !strings.Contains(err.Error(), "a form cannot carry") {
		t.Errorf("a list of structs in a form: got %v", err)
	}
	if _, err := input.For(reflect.TypeFor[Line](), input.ModeNone); err == nil || !strings.Contains(err.Error(), "takes no body") {
		t.Errorf("a body where there is none: got %v", err)
	}
}

func TestEmbeddedStructsAndConstrainedTypes(t *testing.T) {
	type base struct {
		Org layer.OrgID `json:"org"`
	}
	type in struct {
		base
		paging
		Products []ProductID `json:"products" maxItems:"2"`
		Loose    ProductID   `json:"loose,omitempty" format:"date"`
		Count    uint64      `json:"count,omitempty"`
		Small    *uint8      `json:"small,omitempty"`
		Nested   *Line       `json:"nested,omitempty"`
		At       *time.Time  `json:"at,omitempty" format:"date"`
	}
	s := compile[in](t, input.ModeJSON)
	r := postJSON(`{"org":"` + product + `","products":["` + product + `"],"loose":"2026-01-31","count":9223372036854775807,"small":255,"nested":{"sku":"ABC-1"},"at":"2026-01-31"}`)
	r.URL.RawQuery = "cursor=a"
	var got in
	if err := s.Bind(r, input.Limits{}, &got); err != nil {
		t.Fatal(said(t, err))
	}
	small, day := uint8(255), time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	want := in{base{product}, paging{"a"}, []ProductID{product}, "2026-01-31", 1<<63 - 1, &small, &Line{SKU: "ABC-1"}, &day}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	refused := said(t, s.Bind(postJSON(`{"org":"x","products":["x"],"count":9223372036854775808,"small":256,"nested":{"sku":1}}`), input.Limits{}, &got))
	if want := "invalid: org must be a UUID; products[0] must be a UUID; count is out of range; small is out of range; nested.sku must be text"; refused != want {
		t.Errorf("got  %s\nwant %s", refused, want)
	}
}

// One sentence-named row per form of text that has a name.
func TestFormats(t *testing.T) {
	for _, c := range []struct {
		format     string
		good, evil []string
	}{
		{"uuid", []string{product, strings.ToUpper(product)}, []string{
			"{" + product + "}", "urn:uuid:" + product, strings.ReplaceAll(product, "-", ""), product + "\n", product[:35] + "g", strings.ReplaceAll(product, "-", "0")}},
		{"date", []string{"2024-02-29", "0001-01-01", "9999-12-31"}, []string{
			"2023-02-29", "0000-01-01", "10000-01-01", "2026-1-1", "2026-01-31 ", "2026-01-31T00:00:00Z", "٢٠٢٦-01-31"}},
		{"date-time", []string{"2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456789+23:59"}, []string{
			"2026-01-31t12:00:00z", "2026-01-31 12:00:00Z", "2026-01-31T12:00:00", "2026-01-31T1:00:00Z", "2026-01-31T24:00:00Z",
			"2026-01-31T12:00:60Z", "2026-01-31T12:00:00,1Z", "2026-01-31T12:00:00+24:00", "2026-01-31T12:00:00.1234567891Z",
			"0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00Z"}},
		{"email", []string{"a@b", "first.last+tag@sub.example.org", "o'brien@example.org"}, []string{
			"a", "@b", "a@", "a@b@c", "a b@c", `"<script>"@x.y`, "a@[127.0.0.1]", "a@-b", "a@b-", "a@b..c", "ａ@b", "a@b\n", "A <a@b>", "a@b,c@d", ".a@b", "a.@b", "a..b@c",
			strings.Repeat("a", 65) + "@b", "a@" + strings.Repeat("b", 64), "a@b" + strings.Repeat(".bbbbbbbbb", 26)}},
		{"uri", []string{"https://example.org", "http://example.org:8080/a?b=c#d", "https://[2001:db8::1]/", "http://127.0.0.1/", "https://a_b.xn--exmple-cua.org./"}, []string{
			"javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "//example.org", "/a", "https:example.org", "https://", "https:///a",
			"https://a@example.org", "https://a:b@example.org", "https://example.org\\@evil", "https://example.org/<script>", "https://exa mple.org",
			"https://exämple.org", "ftp://example.org", "https://example.org/\n", "https://" + strings.Repeat("a", 2041), " https://example.org",
			"http://0x7f.1/", "http://2130706433/", "http://0177.0.0.1/", "http://127.1/", "http://1.2.3.4.5/", "http://a.0x/", "http://[fe80::1%25eth0]/",
			"https://%C2%AD/", "https://a..b/", "https://-a.b/", "https://a:65536/", "https://a:-1/", "https://" + strings.Repeat("a", 64) + "/"}},
	} {
		typ := reflect.StructOf([]reflect.StructField{{Name: "A", Type: reflect.TypeFor[string](), Tag: reflect.StructTag(`query:"a" format:"` + c.format + `"`)}})
		s, err := input.For(typ, input.ModeNone)
		if err != nil {
			t.Fatal(err)
		}
		try := func(value string) error {
			r, _ := http.NewRequest("GET", "/", nil)
			q := r.URL.Query()
			q.Set("a", value)
			r.URL.RawQuery = q.Encode()
			return s.Bind(r, input.Limits{}, reflect.New(typ).Interface())
		}
		for _, value := range c.good {
			if err := try(value); err != nil {
				t.Errorf("%s: %q is refused: %s", c.format, value, said(t, err))
			}
		}
		for _, value := range c.evil {
			if try(value) == nil {
				t.Errorf("%s: %q is accepted", c.format, value)
			}
		}
	}
}

// SYSTEM A5: a wildcard that no field declares would be an id that nobody checks.
func TestPatternAndTypeAgree(t *testing.T) {
	s := compile[places](t, input.ModeNone)
	for pattern, want := range map[string]string{
		"GET /o/{id}/{page}":             "",
		"GET /o/{id}/{page...}":          "",
		"GET example.org/{id}/{page}{$}": "",
		"GET /o/{id}":                    `the path field "page"`,
		"GET /o/{id}/{page}/{other}":     "{other}, which",
		"GET /o":                         `the path field "id"`,
	} {
		if got := fmt.Sprint(s.Fits(pattern)); want == "" && got != "<nil>" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
}

func TestBindingToAnotherType(t *testing.T) {
	s := compile[PlaceOrder](t, input.ModeJSON)
	for name, dst := range map[string]any{"nothing": nil, "a value": PlaceOrder{}, "another type": new(Line), "a nil pointer": (*PlaceOrder)(nil)} {
		err := s.Bind(postJSON(order), input.Limits{}, dst)
		if _, refused := err.(*layer.Refusal); err == nil || refused {
			t.Errorf("%s: got %v, want an error that is nobody's refusal", name, err)
		}
	}
}

func TestNoInput(t *testing.T) {
	s, err := input.For(nil, input.ModeNone)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest("GET", "/", nil)
	if err := s.Bind(r, input.Limits{}, nil); err != nil {
		t.Errorf("got %v", err)
	}
	r.URL.RawQuery = "a=1"
	if got, want := said(t, s.Bind(r, input.Limits{}, nil)), "invalid: a is not a known field"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// SYSTEM T6: a body that does not arrive is a refusal, and in time.
func TestSlowAndBrokenBodies(t *testing.T) {
	s := compile[PlaceOrder](t, input.ModeJSON)
	for _, c := range []struct {
		name   string
		err    error
		want   string
		public string
	}{
		{"the read deadline of the connection", os.ErrDeadlineExceeded, "malformed", "The body did not arrive in time."},
		{"a connection that breaks", io.ErrUnexpectedEOF, "malformed", "The body did not arrive whole."},
		{"a smaller limit further out", &http.MaxBytesError{Limit: 1}, "too-large", "The body is too large."},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := s.Bind(broken(c.err), input.Limits{}, new(PlaceOrder))
			var r *layer.Refusal
			if got := said(t, err); got != c.want || !errors.As(err, &r) || r.Public != c.public {
				t.Errorf("got %s: %+v", got, r)
			}
		})
	}
	t.Run("a client that falls silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			silent, end := io.Pipe()
			defer end.Close()
			r := postJSON("").WithContext(ctx)
			r.Body, r.ContentLength = silent, -1
			start := time.Now()
			err := s.Bind(r, input.Limits{}, new(PlaceOrder))
			if got := said(t, err); got != "malformed" || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %s: %v", got, err)
			}
			if waited := time.Since(start); waited != 5*time.Second {
				t.Errorf("waited %s, want 5s", waited)
			}
		})
	})
	t.Run("a client that sends in time", func(t *testing.T) {
		r := postJSON(order).WithContext(t.Context())
		if err := s.Bind(r, input.Limits{}, new(PlaceOrder)); err != nil {
			t.Error(said(t, err))
		}
	})
}
