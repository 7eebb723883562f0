package input_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input"
)

// 116 bytes, as a buyer sends them.
const benchmarkBody = `{"product_id":"0190b5f2-7a3c-7cc1-98c4-dc0c0c07398f","quantity":2,"notes":"Two, please","gift":true,"lines":[     ]}`

func BenchmarkBind(b *testing.B) {
	if len(benchmarkBody) != 116 {
		b.Fatal(len(benchmarkBody))
	}
	s := compile[PlaceOrder](b, input.ModeJSON)
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		body := bytes.NewReader([]byte(benchmarkBody))
		r.Body, r.ContentLength = io.NopCloser(body), body.Size()
		var in PlaceOrder
		if err := s.Bind(r, input.Limits{}, &in); err != nil {
			b.Fatal(err)
		}
	}
}

// What people use instead. It checks nothing but the names of members, and those without regard to case.
func BenchmarkStandardLibrary(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		d := json.NewDecoder(io.NopCloser(bytes.NewReader([]byte(benchmarkBody))))
		d.DisallowUnknownFields()
		var in PlaceOrder
		if err := d.Decode(&in); err != nil {
			b.Fatal(err)
		}
	}
}
