package signon_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
)

// direct carries requests to a handler without a network.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RemoteAddr, in.Host, in.RequestURI = "127.0.0.1:1", r.URL.Host, r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	d.handler.ServeHTTP(recorder, in)
	return recorder.Result(), nil
}

// offline is a relying party whose provider is in the same process.
func offline(t testing.TB) *signon.Provider {
	t.Helper()
	idp, err := devidp.New(devidp.Config{Issuer: "https://localhost:9000",
		Clients: []devidp.Client{{ID: "shop", Secret: "s", RedirectURIs: []string{callback}}}})
	if err != nil {
		t.Fatal(err)
	}
	rp, err := signon.New(signon.Config{Issuer: "https://localhost:9000", ClientID: "shop", ClientSecret: "s", RedirectURL: callback,
		HTTP: &http.Client{Transport: direct{idp}}})
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

// Whatever the query is, nobody signs in with it, and the refusal says nothing of it.
func FuzzFinish(f *testing.F) {
	rp := offline(f)
	f.Add("code=abc", true)
	f.Add("code=abc&code=def&iss=https%3A%2F%2Flocalhost%3A9000", true)
	f.Add("error=access_denied&iss=https://localhost:9000", true)
	f.Add("state=&code=x", false)
	f.Fuzz(func(t *testing.T, raw string, withState bool) {
		query, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		_, pending, err := rp.Begin(context.Background(), signon.BeginOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if withState {
			query.Set("state", pending.State)
		}
		_, err = rp.Finish(context.Background(), pending, query)
		var r *layer.Refusal
		if !errors.As(err, &r) || r.By != layer.Identity {
			t.Fatalf("got %v, want a refusal by identity", err)
		}
		if code := query.Get("code"); len(code) > 30 && strings.Contains(err.Error(), code) {
			t.Error("the refusal repeats the code")
		}
	})
}
