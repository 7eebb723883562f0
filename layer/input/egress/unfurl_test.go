package egress_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/egress"
	"github.com/redoubt-dev/redoubt/layer/input/egress/unfurl"
)

// The pages themselves are tested in package unfurl, which has no way to a world of this package's.
func TestALinkIsUnfurled(t *testing.T) { // SYSTEM N5
	w := newWorld(t)
	head := `<!doctype html><title>Caf\u00e9</title><meta property="og:url" content="https://bank.example/"><meta property="og:site_name" content="Your Bank">` +
		`<meta property="og:image" content="http://inside.example/pixel"><meta http-equiv="refresh" content="0;url=http://inside.example/">` +
		`<meta name="description" content="Coffee"><link rel="icon" href="http://inside.example/icon"><base href="http://inside.example/">`
	w.names.says("inside.example", "127.0.0.1")
	asked := 0
	w.secure("xn--caf-dma.example", "93.184.216.34", func(rw http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Path {
		case "/image":
			rw.Header().Set("Content-Type", "image/png")
		case "/long":
			rw.Header().Set("Content-Type", "text/html; charset=iso-8859-1")
			io.WriteString(rw, strings.ReplaceAll(head, `\u00e9`, "\xe9")+"<body>")
			io.CopyN(rw, zeros{}, 4<<20)
		case "/inside":
			http.Redirect(rw, r, "https://inside.example/", http.StatusFound)
		default:
			html(strings.ReplaceAll(head, `\u00e9`, "é"))(rw, r)
		}
	})
	c := w.client(egress.Config{})
	for _, path := range []string{"/", "/long"} {
		asked = 0
		got, err := unfurl.Read(t.Context(), c, "https://café.example"+path+"#part")
		want := unfurl.Preview{URL: "https://xn--caf-dma.example" + path, Title: "Café", Description: "Coffee", Site: "xn--caf-dma.example"}
		if err != nil || got != want || asked != 1 {
			t.Errorf("%s: got %+v, %v after %d requests", path, got, err, asked)
		}
	}
	for path, want := range map[string]egress.Fault{"/image": egress.Unwanted, "/inside": egress.Inside} {
		if got, err := unfurl.Read(t.Context(), c, "https://café.example"+path); fault(t, err) != want || got != (unfurl.Preview{}) {
			t.Errorf("%s: got %+v, %v", path, got, err)
		}
	}
	if w.reached.Load() != 0 {
		t.Errorf("what is inside was asked %d times", w.reached.Load())
	}
}
