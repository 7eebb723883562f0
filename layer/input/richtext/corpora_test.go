package richtext_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// corpus reads a public collection; without the folder of them the test that asks is skipped, and says so.
func corpus[T any](t *testing.T, name string) (entries []T) {
	t.Helper()
	dir := os.Getenv("REDOUBT_CORPORA")
	if dir == "" {
		t.Skipf("REDOUBT_CORPORA is unset: set it to the folder that holds %s to run this test", name)
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &entries); err != nil {
		t.Fatal(err)
	}
	return entries
}

// payloads are the public collections of scripts that slipped past somebody, each text once. With -short they are one in twelve.
func payloads(t *testing.T) (all []string) {
	t.Helper()
	for _, name := range []string{"xss-fuzzdb.json", "xss-patt.json", "xss-sanitize-html.json"} {
		for _, e := range corpus[struct{ HTML string }](t, name) {
			all = append(all, e.HTML)
		}
	}
	all = append(all, corpus[string](t, "blns.json")...)
	slices.Sort(all)
	all = slices.Compact(all)
	if testing.Short() {
		return sample(all, 12)
	}
	return all
}

// sample is every n-th of all.
func sample(all []string, n int) (some []string) {
	for i := 0; i < len(all); i += n {
		some = append(some, all[i])
	}
	return some
}

func TestNoPublicPayloadSurvives(t *testing.T) { // SYSTEM N3
	all := payloads(t)
	words := 0
	for _, p := range all {
		holds(t, p)
		typed(t, p)
		if !disputed(p) {
			words++
		}
	}
	t.Logf("%d payloads; in %d of them the engines had to read the same words", len(all), words)
}

// The engines judge an address by different code: one by an expression, the other by parsing it. They agree on all of the web platform's
// test cases, as links and as images, and as what somebody types.
func TestTheEnginesAgreeOnAddresses(t *testing.T) {
	quote := strings.NewReplacer("&", "&amp;", `"`, "&#34;")
	links := 0
	for _, e := range corpus[struct{ Input string }](t, "url-wpt.json") {
		if e.Input == "" {
			continue
		}
		dirty := `<a href="` + quote.Replace(e.Input) + `">a</a><img src="` + quote.Replace(e.Input) + `"><img src="/files/` + quote.Replace(e.Input) + `">`
		holds(t, dirty)
		typed(t, "[a]("+e.Input+") <"+e.Input+"> "+e.Input+" ![a]("+e.Input+")")
		if c, r := cleaned(t, dirty), rendered(t, dirty); c != r {
			t.Errorf("%q\nclean  says %q\nrender says %q", e.Input, c, r)
		} else if strings.Contains(c, "<a ") {
			links++
		}
	}
	t.Logf("%d are links to both", links)
	if links < 20 {
		t.Error("next to no address is taken as a link, so the engines agree about nothing")
	}
}
