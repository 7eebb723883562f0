package input_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
)

// flat is what a form can carry.
type flat struct {
	Title string    `json:"title" minLength:"2" maxLength:"10"`
	Body  string    `json:"body,omitempty" maxLength:"20" multiline:"true"`
	Size  string    `json:"size,omitempty" enum:"small,large"`
	Count int8      `json:"count,omitempty" maximum:"12"`
	Price float64   `json:"price,omitempty" minimum:"0"`
	Agree bool      `json:"agree"`
	At    time.Time `json:"at,omitempty"`
	Day   string    `json:"day,omitempty" format:"date"`
	Tags  []string  `json:"tags,omitempty" maxItems:"2" enum:"a,b,c"`
	Key   string    `json:"key,omitempty" maxLength:"10" secret:"true"`
}

// SYSTEM N1: a form is held to the same type as JSON.
func TestForms(t *testing.T) {
	s := compile[flat](t, input.ModeForm)
	for _, c := range []struct{ name, body, want string }{
		{"an honest form", "title=Tea&_token=abc", "accepted"},
		{"all of it", "title=Tea&body=a%0D%0Ab&size=large&count=-3&price=1.5&agree=on&at=2026-01-31T12%3A00%3A00Z&day=2026-01-31&tags=a&tags=b&key=k", "accepted"},
		{"optional boxes left empty", "title=Tea&body=&size=&count=&price=&at=&day=&tags=&key=", "accepted"},
		{"a required box left empty", "title=", "invalid: title is required"},
		{"nothing", "", "invalid: title is required"},
		{"a member nobody declared", "title=Tea&admin=true", "invalid: admin is not a known field"},
		{"another case", "title=Tea&Count=1", "invalid: Count is not a known field"},
		{"a value twice", "title=Tea&title=Tea", "invalid: title must be given once"},
		{"a number twice", "title=Tea&count=1&count=2", "invalid: count must be given once"},
		{"a checkbox twice", "title=Tea&agree=on&agree=on", "invalid: agree must be given once"},
		{"the token twice", "title=Tea&_token=a&_token=b", "invalid: _token is not a known field"},
		{"a list that is too long", "title=Tea&tags=a&tags=b&tags=c", "invalid: tags must have at most 2 entries"},
		{"a wrong item", "title=Tea&tags=a&tags=d", "invalid: tags[1] must be one of: a, b, c"},
		{"the notation of other frameworks", "title=Tea&tags%5B%5D=a", "invalid: has an unknown field"},
		{"a plus sign", "title=Tea&count=%2B1", "invalid: count must be a whole number"},
		{"a space", "title=Tea&count=1+", "invalid: count must be a whole number"},
		{"a leading zero", "title=Tea&count=01", "invalid: count must be a whole number"},
		{"digits of another script", "title=Tea&count=%D9%A1", "invalid: count must be a whole number"},
		{"underscores", "title=Tea&count=1_0", "invalid: count must be a whole number"},
		{"below the type", "title=Tea&count=-129", "invalid: count must be at most 12, and not too small"},
		{"an infinite number", "title=Tea&price=Inf", "invalid: price must be a number"},
		{"a hexadecimal float", "title=Tea&price=0x1p4", "invalid: price must be a number"},
		{"a number below its bound", "title=Tea&price=-0.1", "invalid: price must be at least 0, and not too large"},
		{"a boolean in words", "title=Tea&agree=yes", "invalid: agree must be true or false"},
		{"another choice", "title=Tea&size=huge", "invalid: size must be one of: small, large"},
		{"a day that is not", "title=Tea&day=2026-02-30", "invalid: day must be a date such as 2026-01-31"},
		{"a time with a comma", "title=Tea&at=2026-01-31T12:00:00,5Z", "invalid: at must be a date and time such as 2026-01-31T12:00:00Z"},
		{"a time without a zone", "title=Tea&at=2026-01-31T12:00", "invalid: at must be a date and time such as 2026-01-31T12:00:00Z"},
		{"too short", "title=T", "invalid: title must have between 2 and 10 characters"},
		{"a line end in one line", "title=a%0Ab", "invalid: title must be a single line without control characters"},
		{"a line separator in one line", "title=a%E2%80%A8b", "invalid: title must be a single line without control characters"},
		{"a NUL", "title=a%00b", "invalid: title must be a single line without control characters"},
		{"invalid UTF-8", "title=a%FF", "invalid: title must be text in UTF-8"},
		{"an invalid escape", "title=%zz", "malformed"},
		{"a semicolon", "title=Tea;count=1", "malformed"},
		{"too many members", "title=Tea" + strings.Repeat("&x", 1000), "too-large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in flat
			if got := said(t, s.Bind(postForm(c.body), input.Limits{}, &in)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAFormArrives(t *testing.T) {
	s := compile[flat](t, input.ModeForm)
	want := flat{Title: "Tea", Body: "a\nb", Size: "large", Count: -3, Price: 1.5, Agree: true,
		At: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Day: "2026-01-31", Tags: []string{"a"}}
	var in flat
	body := "title=Tea&body=a%0D%0Ab&size=large&count=-3&price=1.5&agree=on&at=2026-01-31T12:00:00Z&day=2026-01-31&tags=a&_token=t"
	if err := s.Bind(postForm(body), input.Limits{}, &in); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("got  %+v\nwant %+v", in, want)
	}
}

func multipartBody(parts ...string) string {
	return "--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
}

func TestMultipartForms(t *testing.T) {
	s := compile[flat](t, input.ModeForm)
	const title = "Content-Disposition: form-data; name=\"title\"\r\n\r\nTea"
	for _, c := range []struct{ name, body, want string }{
		{"an honest form", multipartBody(title, "Content-Disposition: form-data; name=\"_token\"\r\n\r\nx"), "accepted"},
		{"a part that says that it is text", multipartBody("Content-Type: text/plain; charset=UTF-8\r\n" + title), "accepted"},
		{"a file", multipartBody(title, "Content-Disposition: form-data; name=\"body\"; filename=\"a.txt\"\r\n\r\nx"), "malformed"},
		{"a file without a name", multipartBody(title, "Content-Disposition: form-data; name=\"body\"; filename=\"\"\r\n\r\n"), "malformed"},
		{"an extended file name", multipartBody(title, "Content-Disposition: form-data; name=\"body\"; filename*=utf-8''a\r\n\r\nx"), "malformed"},
		{"an extended name", multipartBody("Content-Disposition: form-data; name*=utf-8''title\r\n\r\nTea"), "malformed"},
		{"a name in pieces", multipartBody("Content-Disposition: form-data; name*0=ti; name*1=tle\r\n\r\nTea"), "malformed"},
		{"two names", multipartBody("Content-Disposition: form-data; name=a; name=title\r\n\r\nTea"), "malformed"},
		{"two dispositions", multipartBody("Content-Disposition: form-data; name=a\r\n" + title), "malformed"},
		{"an attachment", multipartBody("Content-Disposition: attachment; name=title\r\n\r\nTea"), "malformed"},
		{"no disposition", multipartBody("\r\nTea"), "malformed"},
		{"an encoded part", multipartBody("Content-Transfer-Encoding: quoted-printable\r\n" + title), "malformed"},
		{"a part in another charset", multipartBody("Content-Type: text/plain; charset=utf-7\r\n" + title), "malformed"},
		{"a part of another kind", multipartBody("Content-Type: text/html\r\n" + title), "malformed"},
		{"a value twice", multipartBody(title, title), "invalid: title must be given once"},
		{"a member nobody declared", multipartBody(title, "Content-Disposition: form-data; name=admin\r\n\r\n1"), "invalid: admin is not a known field"},
		{"text before the first boundary", "title=Tea\r\n" + multipartBody(title), "malformed"},
		{"a header that is none", multipartBody("Content-Disposition\r\n\r\nTea"), "malformed"},
		{"text behind the last boundary", multipartBody(title) + "title=Tea", "malformed"},
		{"a part behind the last boundary", multipartBody(title) + multipartBody(title), "malformed"},
		{"no last boundary", strings.TrimSuffix(multipartBody(title), "--\r\n"), "malformed"},
		{"too many parts", multipartBody(strings.Split(strings.Repeat(title+"|", 1000)+title, "|")...), "too-large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in flat
			if got := said(t, s.Bind(post(c.body, "multipart/form-data; boundary=b"), input.Limits{}, &in)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// The route decides what kind of body it takes, and the client's header only whether it is refused.
func TestTheRouteDecidesTheKind(t *testing.T) {
	type title struct {
		Title string `json:"title" maxLength:"10"`
	}
	type empty struct{}
	json, form := compile[title](t, input.ModeJSON), compile[title](t, input.ModeForm)
	none, noJSON, noForm := compile[empty](t, input.ModeNone), compile[empty](t, input.ModeJSON), compile[empty](t, input.ModeForm)
	const object, pairs = `{"title":"Tea"}`, "title=Tea"
	for _, c := range []struct {
		name              string
		s                 *input.Schema
		body, contentType string
		want              string
	}{
		{"JSON for JSON", json, object, "application/json", "accepted"},
		{"JSON in UTF-8", json, object, `Application/JSON; charset="UTF-8"`, "accepted"},
		{"JSON without a type", json, object, "", "unsupported"},
		{"JSON as text, which needs no preflight", json, object, "text/plain", "unsupported"},
		{"JSON in another charset", json, object, "application/json; charset=utf-16", "unsupported"},
		{"JSON with another parameter", json, object, "application/json; version=1", "unsupported"},
		{"JSON of a kind", json, object, "application/merge-patch+json", "unsupported"},
		{"two types in one", json, object, "application/json, text/plain", "unsupported"},
		{"a form for JSON", json, pairs, "application/x-www-form-urlencoded", "unsupported"},
		{"JSON for a form", form, object, "application/json", "unsupported"},
		{"a form without a type", form, pairs, "", "unsupported"},
		{"a form for a form", form, pairs, "application/x-www-form-urlencoded; charset=utf-8", "accepted"},
		{"a form in another charset", form, pairs, "application/x-www-form-urlencoded; charset=utf-7", "unsupported"},
		{"parts without a boundary", form, pairs, "multipart/form-data", "unsupported"},
		{"mixed parts", form, pairs, "multipart/mixed; boundary=b", "unsupported"},
		{"no body for none", none, "", "", "accepted"},
		{"a type without a body for none", none, "", "application/json", "accepted"},
		{"a body for none", none, "x", "", "malformed"},
		{"JSON for none", none, "{}", "application/json", "malformed"},
		{"no body where JSON has no members", noJSON, "", "", "accepted"},
		{"an empty object where JSON has no members", noJSON, "{}", "application/json", "accepted"},
		{"a member where JSON has none", noJSON, object, "application/json", "invalid: title is not a known field"},
		{"an empty object of no type", noJSON, "{}", "", "unsupported"},
		{"only the token where a form has no members", noForm, "_token=x", "application/x-www-form-urlencoded", "accepted"},
		{"no body where a form has no members", noForm, "", "", "accepted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bind := func(r *http.Request) string {
				if c.s == json || c.s == form {
					return said(t, c.s.Bind(r, input.Limits{}, new(title)))
				}
				return said(t, c.s.Bind(r, input.Limits{}, nil))
			}
			if got := bind(post(c.body, c.contentType)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			r := post(c.body, c.contentType)
			r.ContentLength = -1
			if got := bind(r); got != c.want {
				t.Errorf("chunked: got  %s\nwant %s", got, c.want)
			}
			r = post(c.body, c.contentType)
			r.Header.Set("Content-Encoding", "gzip")
			if got := bind(r); got != "unsupported" {
				t.Errorf("encoded: got %s", got)
			}
			r = post(c.body, "application/json")
			r.Header.Add("Content-Type", "application/x-www-form-urlencoded")
			if got := bind(r); got != "unsupported" {
				t.Errorf("of two types: got %s", got)
			}
		})
	}
}

func TestARefusedFormIsShownAgain(t *testing.T) {
	s := compile[flat](t, input.ModeForm)
	sent := url.Values{
		"title": {"<b>&" + strings.Repeat("x", 30)}, "body": {"a\r\nb\x00\u202e"}, "count": {"many"}, "key": {"hunter2"},
		"admin": {"1"}, "_token": {"t"}, "size": {"small", "large"}, "agree": {"on"},
	}
	r := postForm(sent.Encode())
	if got := said(t, s.Bind(r, input.Limits{}, new(flat))); !strings.HasPrefix(got, "invalid") {
		t.Fatal(got)
	}
	want := map[string]string{"title": "<b>&" + strings.Repeat("x", 30), "body": "a\nb", "count": "many", "agree": "on"}
	if got := s.Typed(r, input.Limits{}); !maps.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	if got := s.Typed(postForm("%zz"), input.Limits{}); got != nil {
		t.Errorf("of a malformed form: got %q, want nothing", got)
	}
	if got := s.Typed(postForm("title=Tea"), input.Limits{Body: 2}); got != nil {
		t.Errorf("of a large form: got %q, want nothing", got)
	}
	r = postForm("aa&title=Tea")
	r.ContentLength = -1
	if got := said(t, s.Bind(r, input.Limits{Body: 2}, new(flat))); got != "too-large" {
		t.Error(got)
	}
	if got := s.Typed(r, input.Limits{}); len(got) != 0 {
		t.Errorf("of the rest of a large form: got %q, want nothing", got)
	}
	if got := compile[PlaceOrder](t, input.ModeJSON).Typed(postJSON(order), input.Limits{}); got != nil {
		t.Errorf("of an API: got %q, want nothing", got)
	}
}

func TestTickedBoxesAreShownAgain(t *testing.T) {
	type ticked struct {
		Colours []string `json:"colours,omitempty" maxItems:"3" maxLength:"10"`
		Secrets []string `json:"secrets,omitempty" maxItems:"3" maxLength:"10" secret:"true"`
		One     string   `json:"one,omitempty" maxLength:"10"`
	}
	s := compile[ticked](t, input.ModeForm)
	for sent, want := range map[string]string{
		"":                                 "",
		"colours=red":                      "red",
		"colours=red&colours=blue":         "red, blue",
		"colours=r%00ed&colours=%e2%80%ae": "red, ",
		"one=a&one=b":                      "", // which of them?
		"secrets=a&secrets=b":              "",
		"secrets=a":                        "",
	} {
		got := s.Typed(postForm(sent), input.Limits{})
		if got["colours"] != want || got["one"] != "" || got["secrets"] != "" {
			t.Errorf("%s: got %q, want %q", sent, got, want)
		}
	}
}

func TestAFormReadByNetHTTPIsAProgrammingError(t *testing.T) {
	r := postForm("title=Tea")
	if err := r.ParseForm(); err != nil {
		t.Fatal(err)
	}
	err := compile[flat](t, input.ModeForm).Bind(r, input.Limits{}, new(flat))
	if _, refused := err.(*layer.Refusal); err == nil || refused {
		t.Errorf("got %v, want an error that is nobody's refusal", err)
	}
}

type places struct {
	ID     layer.OrgID `path:"id"`
	Page   int         `path:"page" minimum:"1" maximum:"9"`
	Cursor string      `query:"cursor,omitempty" maxLength:"8"`
	Sort   string      `query:"sort" enum:"old,new"`
	Tags   []string    `query:"tag,omitempty" maxItems:"2" maxLength:"4"`
	Match  string      `header:"If-Match,omitempty" maxLength:"10"`
	Key    string      `header:"Idempotency-Key" maxLength:"10"`
}

// SYSTEM N1, A5: the path, the query and the headers are held to the type as the body is.
func TestPathQueryHeader(t *testing.T) {
	s := compile[places](t, input.ModeNone)
	for _, c := range []struct {
		name, path, query, want string
		headers                 http.Header
	}{
		{"an honest request", product + "/1", "sort=old", "accepted", nil},
		{"all of it", product + "/9", "sort=new&cursor=a&tag=x&tag=y", "accepted", http.Header{"If-Match": {"1"}, "X-Other": {"a", "b"}}},
		{"a wrong id", "1/1", "sort=old", "not-found", nil},
		{"a wrong id hides every other fault", "1/1", "sort=x&y=1", "not-found", nil},
		{"another directory", "..%2f..%2fadmin/1", "sort=old", "not-found", nil},
		{"a number out of range", product + "/10", "sort=old", "not-found", nil},
		{"a number in another spelling", product + "/01", "sort=old", "not-found", nil},
		{"an unknown parameter", product + "/1", "sort=old&admin=1", "invalid: admin is not a known field", nil},
		{"a parameter of the path", product + "/1", "sort=old&id=" + product, "invalid: id is not a known field", nil},
		{"a repeated parameter", product + "/1", "sort=old&sort=old", "invalid: sort must be given once", nil},
		{"a missing parameter", product + "/1", "", "invalid: sort is required", nil},
		{"an empty parameter", product + "/1", "sort=&cursor=", "invalid: sort is required", nil},
		{"a wrong escape", product + "/1", "sort=%g", "malformed", nil},
		{"a semicolon", product + "/1", "sort=old;x=1", "malformed", nil},
		{"a query that is too long", product + "/1", "sort=old&x=" + strings.Repeat("a", input.MaxQuery), "too-large", nil},
		{"a query with too many values", product + "/1", "sort=old" + strings.Repeat("&a", 1000), "too-large", nil},
		{"a repeated header", product + "/1", "sort=old", "invalid: If-Match must be given once", http.Header{"If-Match": {"1", "2"}}},
		{"a header of controls", product + "/1", "sort=old", "invalid: If-Match must be a single line without control characters", http.Header{"If-Match": {"a\tb"}}},
		{"a header of Latin-1", product + "/1", "sort=old", "invalid: If-Match must be text in UTF-8", http.Header{"If-Match": {"\xe9"}}},
		{"a header that is too long", product + "/1", "sort=old", "invalid: If-Match must have at most 10 characters", http.Header{"If-Match": {strings.Repeat("a", 11)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got string
			mux := http.NewServeMux()
			mux.HandleFunc("GET /o/{id}/{page}", func(_ http.ResponseWriter, r *http.Request) {
				var in places
				err := s.Bind(r, input.Limits{}, &in)
				if got = said(t, err); err == nil && (in.ID != product || in.Page == 0 || in.Key != "k") {
					t.Errorf("got %+v", in)
				}
			})
			r := httptest.NewRequest("GET", "/o/"+c.path+"?"+c.query, nil)
			maps.Copy(r.Header, c.headers)
			r.Header.Set("Idempotency-Key", "k")
			mux.ServeHTTP(httptest.NewRecorder(), r)
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	r := httptest.NewRequest("GET", "/?sort=old", nil)
	r.SetPathValue("id", product)
	r.SetPathValue("page", "1")
	if got, want := said(t, s.Bind(r, input.Limits{}, new(places))), "invalid: Idempotency-Key is required"; got != want {
		t.Errorf("without the header: got %s, want %s", got, want)
	}
}
