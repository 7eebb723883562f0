package web_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt"
)

// addresses are the assets that a page asks for.
func addresses(t *testing.T) map[string]string {
	t.Helper()
	d := rendered(t, parsed(t), frame(sample{signedOut: true}), redoubt.View{Page: "welcome", Title: "Welcome"})
	return map[string]string{
		"text/css; charset=utf-8":        value(d.all("link")[1], "href"),
		"text/javascript; charset=utf-8": value(d.all("script")[0], "src"),
		"image/svg+xml":                  value(d.all("link")[0], "href"),
	}
}

func get(t *testing.T, method, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	parsed(t).Assets().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result()
}

func TestAssetsHaveHashedNamesExactTypesAndLastForEver(t *testing.T) {
	hashed := regexp.MustCompile(`^/assets/[a-z]+\.[0-9a-f]{12}\.[a-z]+$`)
	for mimeType, address := range addresses(t) {
		if !hashed.MatchString(address) {
			t.Errorf("%q has no hash in its name", address)
		}
		r := get(t, "GET", address)
		for header, want := range map[string]string{"Content-Type": mimeType, "X-Content-Type-Options": "nosniff", "Cache-Control": "public, max-age=31536000, immutable"} {
			if got := r.Header.Get(header); r.StatusCode != 200 || got != want {
				t.Errorf("%s: %d %s: %q, want %q", address, r.StatusCode, header, got, want)
			}
		}
	}
}

func TestOnlyExactAddressesAreServed(t *testing.T) {
	css := addresses(t)["text/css; charset=utf-8"]
	for _, c := range []struct {
		name, method, path string
		want               int
	}{
		{"an old hash", "GET", "/assets/style.000000000000.css", 404},
		{"no hash", "GET", "/assets/style.css", 404},
		{"a template", "GET", "/assets/layout/layout.html", 404},
		{"a way out", "GET", "/assets/../web.go", 404},
		{"a list", "GET", "/assets/", 404},
		{"HEAD", "HEAD", css, 200},
		{"POST", "POST", css, 405},
		{"DELETE", "DELETE", css, 405},
	} {
		r := get(t, c.method, c.path)
		if r.StatusCode != c.want {
			t.Errorf("%s: got %d, want %d", c.name, r.StatusCode, c.want)
		}
		if c.want != 200 && strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: a refusal is kept for ever", c.name)
		}
	}
}

// scriptSizes keep the scripts what they are: comfort.
var scriptSizes = map[string]int{"layout/app.js": 5000, "layout/editor.js": 12000}

func TestTheScriptsAreSmallAndWriteNoMarkup(t *testing.T) {
	for name, most := range scriptSizes {
		t.Run(name, func(t *testing.T) { smallAndHarmless(t, name, most) })
	}
}

func smallAndHarmless(t *testing.T, name string, most int) {
	script, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(script) > most {
		t.Errorf("it has %d bytes, want at most %d", len(script), most)
	}
	for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser", "setHTML", ".style", "import "} {
		if strings.Contains(string(script), sink) {
			t.Errorf("it uses %s", sink)
		}
	}
}

func TestTheStyleAsksForNothingElsewhere(t *testing.T) {
	r := get(t, "GET", addresses(t)["text/css; charset=utf-8"])
	style := new(strings.Builder)
	if err := r.Write(style); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"url(", "@import", "http:", "https:", "expression("} {
		if strings.Contains(style.String(), word) {
			t.Errorf("it has %s", word)
		}
	}
	if tokens, layout := strings.Index(style.String(), "--paper:"), strings.Index(style.String(), ".header {"); tokens < 0 || layout < tokens {
		t.Error("the tokens do not come first")
	}
}
