package commons_test

import (
	"bytes"
	"image"
	_ "image/png"
	"regexp"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

var pictureAt = regexp.MustCompile(`src="(/files/[0-9a-f-]{36}[a-z/]*)"`)

// The example's pictures go the way of everybody's, and are there for whoever looks (SYSTEM N2, R). Where no files are kept, there are none.
func TestTheExampleShowsItsPictures(t *testing.T) {
	for _, c := range []struct {
		name   string
		kept   bool
		images int // on the feed of Acme: twice whoever is portrayed, once what Bob has painted
	}{{"with files", true, 3}, {"without", false, 0}} {
		t.Run(c.name, func(t *testing.T) {
			w := layertest.Disposable(t, commons.App)
			parts := redoubt.Parts{DB: w.DB, Identity: w.Identity}
			if c.kept {
				folder, err := store.OpenDir(w.FilesDir)
				if err != nil {
					t.Fatal(err)
				}
				if parts.Files, err = redoubt.OpenFiles(w.DB, folder); err != nil {
					t.Fatal(err)
				}
			}
			acme := fillIn(t, w, parts)
			feed := string(acme.Browser().Get("/").OK().Body)
			found := pictureAt.FindAllStringSubmatch(feed, -1)
			if len(found) != c.images || strings.Contains(feed, "ropes.csv") != c.kept {
				t.Errorf("there are %d pictures, want %d; the list is there: %t", len(found), c.images, strings.Contains(feed, "ropes.csv"))
			}
			for _, at := range found {
				got := acme.Browser().Get(at[1]).OK()
				if _, _, err := image.DecodeConfig(bytes.NewReader(got.Body)); err != nil {
					t.Errorf("%s is no picture: %v", at[1], err)
				}
			}
		})
	}
}

// fillIn has the example filled in, and answers with somebody of Acme's.
func fillIn(t *testing.T, w *layertest.W, parts redoubt.Parts) *layertest.Caller {
	t.Helper()
	var people []redoubt.Person
	var acme *layertest.Caller
	for _, p := range []struct {
		organization, name string
		administers        bool
	}{{"Globex", "Carol", true}, {"Globex", "Dave", false}, {"Globex", "Erin", false}, {"Acme", "Alice", true}, {"Acme", "Bob", false}, {"Acme", "Erin", false}} {
		acme = w.Member(p.organization)
		if p.administers {
			acme = w.Administrator(p.organization)
		}
		people = append(people, redoubt.Person{Name: p.name + " Example", Organization: redoubt.Organization{Name: p.organization}, Principal: acme.Principal()})
	}
	if err := commons.App.Example(t.Context(), parts, people); err != nil {
		t.Fatal(err)
	}
	return acme
}
