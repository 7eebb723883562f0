package transport_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// A handler that says nothing about security, and what leaves the house.
func Example() {
	t, err := transport.New(transport.Config{
		Origin:   "https://app.example.com",
		TokenKey: bytes.Repeat([]byte("k"), 32), // in earnest: 32 random bytes, kept secret
		Refuse: func(w http.ResponseWriter, _ *http.Request, why *layer.Refusal) {
			http.Error(w, why.Public, http.StatusForbidden)
		},
	})
	if err != nil {
		panic(err)
	}
	h := t.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))

	for _, method := range []string{"GET", "POST"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		fmt.Println(method, w.Code, w.Header().Get("X-Frame-Options"), w.Header().Get("Cache-Control"))
	}
	// Output:
	// GET 200 DENY no-store
	// POST 403 DENY no-store
}
