package input_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
)

// The boundary alone, in an existing net/http program.
func ExampleSchema_Bind() {
	type Rename struct {
		ID   layer.OrgID `path:"id" json:"-"`
		Name string      `json:"name" minLength:"1" maxLength:"40"`
	}
	schema, err := input.For(reflect.TypeFor[Rename](), input.ModeJSON)
	if err != nil {
		log.Fatal(err) // the type is wrong: do not start
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PATCH /organizations/{id}", func(_ http.ResponseWriter, r *http.Request) {
		var in Rename
		var refused *layer.Refusal
		if errors.As(schema.Bind(r, input.Limits{Body: 4096}, &in), &refused) {
			fmt.Println(refused.Reason, refused.Fields)
			return
		}
		fmt.Println("renaming to", in.Name)
	})

	for _, body := range []string{`{"name":"Acme"}`, `{"name":"","admin":true}`} {
		r := httptest.NewRequest("PATCH", "/organizations/0190b5f2-7a3c-7cc1-98c4-dc0c0c07398f", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// renaming to Acme
	// invalid [{name must have between 1 and 40 characters} {admin is not a known field}]
}
