package edge_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
)

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "/a/b?c=d", "/%2e%2e/", "/..;/", "//x", "/a%2fb", "/a\\b", "/é", "*", "/%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if edge.CheckTarget(target) != "" {
			return
		}
		r, err := http.NewRequest("GET", "https://localhost"+target, nil)
		if err != nil {
			t.Fatalf("%q passes, but cannot be parsed: %v", target, err)
		}
		if got := r.URL.RequestURI(); got != target {
			t.Errorf("%q would be forwarded as %q", target, got)
		}
		for segment := range strings.SplitSeq(r.URL.Path, "/") {
			if segment == "." || segment == ".." || strings.ContainsAny(segment, "\\\x00") {
				t.Errorf("%q passes with the segment %q", target, segment)
			}
		}
		if strings.Count(r.URL.Path, "/") != strings.Count(strings.SplitN(target, "?", 2)[0], "/") {
			t.Errorf("%q has segments that are not seen", target)
		}
	})
}
func FuzzGuard(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n\r\n")
	f.Add("GET https://x/ HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Add("GET / HTTP/1.0\r\nContent-Length: 1\r\n\r\na")
	f.Fuzz(func(t *testing.T, s string) {
		good, reason, between := edge.Judge([]byte(s))
		if reason == "" && good != len(s) || good > len(s) {
			t.Fatalf("%d of %d bytes pass without a reason", good, len(s))
		}
		if reason != "" || !between {
			return
		}
		// Every byte belongs to a whole request: net/http must come to the same end, unless it refuses some request.
		if err := readAll(s); err != nil && !errors.Is(err, errRefusedByHTTP) {
			t.Errorf("%q: %v", s, err)
		}
	})
}

var errRefusedByHTTP = errors.New("refused by net/http")

func readAll(s string) error {
	r := bufio.NewReader(strings.NewReader(s))
	for {
		if _, err := r.Peek(1); err == io.EOF {
			return nil
		}
		request, err := http.ReadRequest(r)
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return err
			}
			return errRefusedByHTTP
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return fmt.Errorf("reading body: %w", err)
		}
	}
}

// FuzzQuote: whatever a client chose, an access line is one line of ASCII and reads back as what it was.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", `"\`, "\n\r\x00\x1b[2J", "é€\U0001f600", "\xff\xfe", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := edge.Quote(nil, s)
		for _, c := range got {
			if c < ' ' || c > '~' {
				t.Fatalf("%q holds %q", got, c)
			}
		}
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && strings.ToValidUTF8(s, "") == s {
			t.Errorf("%q became %q: %v", s, back, err)
		}
	})
}
