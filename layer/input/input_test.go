package input_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
)

type ProductID string

func (ProductID) Constraints() reflect.StructTag { return `format:"uuid"` }

// PlaceOrder is the input of most tests: a little of everything.
type PlaceOrder struct {
	ProductID ProductID `json:"product_id" doc:"What is bought."`
	Quantity  int       `json:"quantity" minimum:"1" maximum:"100" example:"2"`
	Notes     string    `json:"notes,omitempty" maxLength:"20" multiline:"true"`
	Gift      *bool     `json:"gift,omitempty"`
	Lines     []Line    `json:"lines,omitempty" maxItems:"3"`
}

type Line struct {
	SKU    string  `json:"sku" pattern:"[A-Z]{3}-[0-9]+" maxLength:"12" example:"ABC-1"`
	Weight float64 `json:"weight,omitempty" minimum:"0" maximum:"2.5"`
}

const (
	product = "0190b5f2-7a3c-7cc1-98c4-dc0c0c07398f"
	order   = `{"product_id":"` + product + `","quantity":2}`
)

func compile[T any](t testing.TB, mode input.Mode) *input.Schema {
	t.Helper()
	s, err := input.For(reflect.TypeFor[T](), mode)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func post(body, contentType string) *http.Request {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func postJSON(body string) *http.Request { return post(body, "application/json") }

func postForm(body string) *http.Request { return post(body, "application/x-www-form-urlencoded") }

// said renders a refusal in one line: "invalid: quantity must be between 1 and 100; notes …".
func said(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return "accepted"
	}
	var r *layer.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("not a refusal: %v", err)
	}
	if r.By != layer.Input || r.Public == "" {
		t.Errorf("a refusal without its author or sentence: %+v", r)
	}
	var fields []string
	for _, f := range r.Fields {
		fields = append(fields, strings.TrimSpace(f.Name+" "+f.Detail))
	}
	if len(fields) == 0 {
		return string(r.Reason)
	}
	return string(r.Reason) + ": " + strings.Join(fields, "; ")
}

// SYSTEM N1, A5: what JSON parsers disagree about is refused, and so is every member that nobody declared.
func TestJSONTricksAreRefused(t *testing.T) {
	s := compile[PlaceOrder](t, input.ModeJSON)
	with := func(more string) string { return strings.TrimSuffix(order, "}") + more + "}" }
	for _, attack := range []struct{ name, body, want string }{
		{"an honest order is accepted", order, "accepted"},
		{"every optional member is accepted", with(`,"notes":"a\nb","gift":true,"lines":[{"sku":"ABC-12","weight":1.5}]`), "accepted"},
		{"null for a pointer is accepted", with(`,"gift":null`), "accepted"},
		{"space around the value is accepted", " \n" + order + "\t\n", "accepted"},

		{"a member nobody declared", with(`,"price":1`), "invalid: price is not a known field"},
		{"a field's Go name", with(`,"Quantity":100`), "invalid: Quantity is not a known field"},
		{"a member in capitals", with(`,"QUANTITY":100`), "invalid: QUANTITY is not a known field"},
		{"a member with the Kelvin sign", with(`,"quantity\u212a":1`), "invalid: has an unknown field"},
		{"a member whose name is markup", with(`,"<script>":1,"<b>":2`), "invalid: has an unknown field"},
		{"a member whose name is long", with(`,"` + strings.Repeat("a", 65) + `":1`), "invalid: has an unknown field"},
		{"a member without a name", with(`,"":1`), "invalid: has an unknown field"},
		{"a nested member nobody declared", with(`,"lines":[{"sku":"ABC-1","price":1}]`), "invalid: lines[0].price is not a known field"},
		{"a prototype", with(`,"__proto__":{"admin":true}`), "invalid: __proto__ is not a known field"},
		{"the form's token", with(`,"_token":"x"`), "invalid: _token is not a known field"},

		{"a member twice", with(`,"quantity":100`), "malformed"},
		{"a member twice, once escaped", with(`,"\u0071uantity":100`), "malformed"},
		{"an unknown member twice", with(`,"x":1,"x":1`), "malformed"},
		{"a nested member twice", with(`,"lines":[{"sku":"ABC-1","sku":"ABC-2"}]`), "malformed"},
		{"a bracket behind the value", order + "]", "malformed"},
		{"a second value", order + order, "malformed"},
		{"a comment", "/* */" + order, "malformed"},
		{"a trailing comma", with(","), "malformed"},
		{"single quotes", strings.ReplaceAll(order, `"`, "'"), "malformed"},
		{"a byte order mark", "\ufeff" + order, "malformed"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "malformed"},
		{"a NUL behind the value", order + "\x00", "malformed"},
		{"no body", "", "malformed"},
		{"only space", "  ", "malformed"},
		{"half a value", order[:len(order)-1], "malformed"},
		{"invalid UTF-8", with(`,"notes":"` + "\xc3\x28" + `"`), "malformed"},
		{"overlong UTF-8", with(`,"notes":"` + "\xc0\xaf" + `"`), "malformed"},
		{"half a surrogate pair", with(`,"notes":"\ud800"`), "malformed"},
		{"a surrogate pair in the wrong order", with(`,"notes":"\udc00\ud800"`), "malformed"},
		{"a raw line end in a string", with(`,"notes":"a` + "\n" + `"`), "malformed"},
		{"NaN", with(`,"weight":NaN`), "malformed"},
		{"a hexadecimal number", `{"quantity":0x10}`, "malformed"},
		{"a leading zero", `{"quantity":010}`, "malformed"},
		{"a plus sign", `{"quantity":+1}`, "malformed"},

		{"null for the whole", "null", "invalid: must be an object"},
		{"a list for the whole", "[" + order + "]", "invalid: must be an object"},
		{"text for the whole", `"x"`, "invalid: must be an object"},
		{"nothing of what is required", "{}", "invalid: product_id is required; quantity is required"},
		{"null for what is required", `{"product_id":null,"quantity":null}`, "invalid: product_id must not be null; quantity must not be null"},
		{"null for what is optional", with(`,"notes":null,"lines":null`), "invalid: notes must not be null; lines must not be null"},
		{"null for an item", with(`,"lines":[null]`), "invalid: lines[0] must not be null"},
		{"text for a number", `{"product_id":"` + product + `","quantity":"2"}`, "invalid: quantity must be a whole number"},
		{"a list for a number", `{"product_id":"` + product + `","quantity":[2]}`, "invalid: quantity must be a whole number"},
		{"an object for text", `{"product_id":{"$ne":1},"quantity":2}`, "invalid: product_id must be text"},
		{"a number for text", `{"product_id":1,"quantity":2}`, "invalid: product_id must be text"},
		{"a number for a boolean", with(`,"gift":1`), "invalid: gift must be true or false"},
		{"text for a boolean", with(`,"gift":"true"`), "invalid: gift must be true or false"},
		{"an object for a list", with(`,"lines":{"0":{}}`), "invalid: lines must be a list"},
		{"text for a list", with(`,"lines":"ABC-1"`), "invalid: lines must be a list"},
		{"a list for an object", with(`,"lines":[["ABC-1"]]`), "invalid: lines[0] must be an object"},
		{"a fraction that changes nothing", `{"product_id":"` + product + `","quantity":1.0}`, "invalid: quantity must be a whole number"},
		{"an exponent", `{"product_id":"` + product + `","quantity":1e1}`, "invalid: quantity must be a whole number"},
		{"minus zero", `{"product_id":"` + product + `","quantity":-0}`, "invalid: quantity must be a whole number"},
		{"too little", `{"product_id":"` + product + `","quantity":0}`, "invalid: quantity must be between 1 and 100"},
		{"too much", `{"product_id":"` + product + `","quantity":101}`, "invalid: quantity must be between 1 and 100"},
		{"more than 64 bits", `{"product_id":"` + product + `","quantity":18446744073709551617}`, "invalid: quantity must be between 1 and 100"},
		{"more than a float", with(`,"lines":[{"sku":"ABC-1","weight":1e999}]`), "invalid: lines[0].weight must be between 0 and 2.5"},
		{"a float above its bound", with(`,"lines":[{"sku":"ABC-1","weight":2.51}]`), "invalid: lines[0].weight must be between 0 and 2.5"},
		{"a wrong id", `{"product_id":"1","quantity":2}`, "invalid: product_id must be a UUID"},
		{"text that is too long", with(`,"notes":"` + strings.Repeat("é", 21) + `"`), "invalid: notes must have at most 20 characters"},
		{"text that only nearly fits its pattern", with(`,"lines":[{"sku":"ABC-1x"}]`), "invalid: lines[0].sku must look like ABC-1"},
		{"a line end behind what fits the pattern", with(`,"lines":[{"sku":"ABC-1\n"}]`), "invalid: lines[0].sku must be a single line without control characters"},
		{"too many items", with(`,"lines":[{},{},{},{}]`), "invalid: lines must have at most 3 entries"},
		{"a NUL in text", with(`,"notes":"a\u0000b"`), "invalid: notes must not contain control characters"},
		{"an escape character in text", with(`,"notes":"\u001b[2J"`), "invalid: notes must not contain control characters"},
		{"a C1 control character in text", with(`,"notes":"\u0085"`), "invalid: notes must not contain control characters"},
		{"text that reads backwards", with(`,"notes":"\u202egpj.exe"`), "invalid: notes must not contain characters that change the direction of text"},
		{"an isolate", with(`,"notes":"\u2066"`), "invalid: notes must not contain characters that change the direction of text"},
		{"everything wrong at once", `{"product_id":"1","quantity":0,"notes":7,"lines":[{"sku":""},{}],"x":1}`,
			"invalid: product_id must be a UUID; quantity must be between 1 and 100; notes must be text; " +
				"lines[0].sku must look like ABC-1; lines[1].sku is required; x is not a known field"},
	} {
		t.Run(attack.name, func(t *testing.T) {
			var in PlaceOrder
			err := s.Bind(postJSON(attack.body), input.Limits{}, &in)
			if got := said(t, err); got != attack.want {
				t.Errorf("got  %s\nwant %s", got, attack.want)
			}
			if err != nil && !reflect.DeepEqual(in, PlaceOrder{}) {
				t.Errorf("a refused body has left %+v", in)
			}
		})
	}
}

func TestWhatIsAcceptedArrives(t *testing.T) {
	s := compile[PlaceOrder](t, input.ModeJSON)
	in := PlaceOrder{Notes: "of the last request", Quantity: 9}
	body := `{"product_id":"` + strings.ToUpper(product) + `","quantity":100,"gift":false,"lines":[{"sku":"ABC-12","weight":0.5},{"sku":"XYZ-1"}]}`
	if err := s.Bind(postJSON(body), input.Limits{}, &in); err != nil {
		t.Fatal(err)
	}
	no := false
	want := PlaceOrder{ProductID: product, Quantity: 100, Gift: &no, Lines: []Line{{"ABC-12", 0.5}, {"XYZ-1", 0}}}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("got  %+v\nwant %+v", in, want)
	}
}

func TestLineEndsBecomeUnix(t *testing.T) {
	s := compile[PlaceOrder](t, input.ModeJSON)
	var in PlaceOrder
	if err := s.Bind(postJSON(strings.TrimSuffix(order, "}")+`,"notes":"a\r\nb\rc\td"}`), input.Limits{}, &in); err != nil {
		t.Fatal(err)
	}
	if got, want := in.Notes, "a\nb\nc\td"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// SYSTEM T6: each limit is met by a request one beyond it.
func TestBounds(t *testing.T) {
	type names struct {
		Names []string `json:"names" maxItems:"5000" maxLength:"10"`
	}
	s := compile[names](t, input.ModeJSON)
	list := func(n int) string { return `{"names":[` + strings.TrimSuffix(strings.Repeat(`"a",`, n), ",") + `]}` }
	nested := func(n int) string {
		return `{"names":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`
	}
	for _, c := range []struct {
		name, body string
		limits     input.Limits
		want       string
	}{
		{"as many bytes as are allowed", list(1), input.Limits{Body: 15}, "accepted"},
		{"one byte more", list(1) + " ", input.Limits{Body: 15}, "too-large"},
		{"one byte beyond 1 MiB", list(1) + strings.Repeat(" ", 1<<20-14), input.Limits{}, "too-large"},
		{"exactly 1 MiB", list(1) + strings.Repeat(" ", 1<<20-15), input.Limits{}, "accepted"},
		{"as many values as are allowed", list(998), input.Limits{}, "accepted"},
		{"one value more", list(999), input.Limits{}, "too-large"},
		{"a limit of the route", list(3), input.Limits{Values: 4}, "too-large"},
		{"16 deep, which no schema takes", nested(16), input.Limits{}, "invalid: names[0] must be text"},
		{"17 deep", nested(17), input.Limits{}, "too-large"},
		{"deep enough to end a stack", strings.Repeat("[", 1<<19), input.Limits{}, "too-large"},
		{"deep and without an end", strings.Repeat(`{"a":`, 1<<17), input.Limits{}, "too-large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in names
			if got := said(t, s.Bind(postJSON(c.body), c.limits, &in)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			r := postJSON(c.body) // the same of a length that the client does not tell
			r.ContentLength = -1
			if got := said(t, s.Bind(r, c.limits, &in)); got != c.want {
				t.Errorf("chunked: got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestARefusalIsBounded(t *testing.T) {
	type empty struct{}
	s := compile[empty](t, input.ModeJSON)
	var body strings.Builder
	for i := range 900 {
		body.WriteString(`,"x` + strings.Repeat("y", i%40) + time.Duration(i).String() + `":1`)
	}
	err := s.Bind(postJSON("{"+body.String()[1:]+"}"), input.Limits{}, nil)
	var r *layer.Refusal
	if !errors.As(err, &r) {
		t.Fatal(err)
	}
	if got, want := len(r.Fields), input.MaxFaults+1; got != want {
		t.Errorf("got %d fields, want %d", got, want)
	}
	if got, want := r.Fields[input.MaxFaults].Detail, "more is wrong than is listed here"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a refusal says, and what it writes to the log, holds nothing of what was sent.
func TestARefusalHoldsNoSubmittedValue(t *testing.T) {
	const secret = "hunter2"
	json, form := compile[PlaceOrder](t, input.ModeJSON), compile[flat](t, input.ModeForm)
	for name, err := range map[string]error{
		"a wrong value":       json.Bind(postJSON(`{"product_id":"hunter2","quantity":"hunter2","notes":["hunter2"],"lines":[{"sku":"hunter2"}]}`), input.Limits{}, new(PlaceOrder)),
		"malformed JSON":      json.Bind(postJSON(`{"product_id":hunter2}`), input.Limits{}, new(PlaceOrder)),
		"a member twice":      json.Bind(postJSON(`{"hunter2":1,"hunter2":2}`), input.Limits{}, new(PlaceOrder)),
		"a strange name":      json.Bind(postJSON(`{"hunter2 ":1}`), input.Limits{}, new(PlaceOrder)),
		"a malformed form":    form.Bind(postForm("a=%hunter2"), input.Limits{}, new(flat)),
		"a malformed part":    form.Bind(post("--b\r\nhunter2\r\n\r\n--b--", "multipart/form-data; boundary=b"), input.Limits{}, new(flat)),
		"a strange type":      json.Bind(post("{}", "text/hunter2"), input.Limits{}, new(PlaceOrder)),
		"a wrong form value":  form.Bind(postForm("size=hunter2&at=hunter2&count=hunter2"), input.Limits{}, new(flat)),
		"a repeated one":      form.Bind(postForm("size=hunter2&size=hunter2"), input.Limits{}, new(flat)),
		"a broken connection": json.Bind(broken(errors.New("reset")), input.Limits{}, new(PlaceOrder)),
	} {
		t.Run(name, func(t *testing.T) {
			var r *layer.Refusal
			if !errors.As(err, &r) {
				t.Fatalf("not a refusal: %v", err)
			}
			for text := range strings.SplitSeq(r.Public+"\n"+r.Error()+"\n"+said(t, err), "\n") {
				if strings.Contains(text, secret) {
					t.Errorf("the refusal says %q", text)
				}
			}
		})
	}
}

func broken(err error) *http.Request {
	r := postJSON("")
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(`{"a`), failing{err})), -1
	return r
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
