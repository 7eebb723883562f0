package picture_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/redoubt-dev/redoubt/drill/picture"
	"github.com/redoubt-dev/redoubt/drill/report"
	"github.com/redoubt-dev/redoubt/internal/browser"
)

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	for name, r := range map[string]*report.Report{"small": small(), "large": large(), "nasty": nasty()} {
		show := func(path, kind string, body []byte) {
			mux.HandleFunc("GET /"+name+path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", kind)
				_, _ = w.Write(body)
			})
		}
		show(".html", "text/html", picture.HTML(r))
		show(".svg", "image/svg+xml", picture.SVG(r))
		show("-pairs.svg", "image/svg+xml", picture.PairsSVG(r))
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// truths are what has to hold of a page, in any window: it is styled, which means that the policy knows its style; nothing of the
// report has become an element or has run; nothing sticks out at the side.
var truths = map[string]string{
	"the style applies":          `getComputedStyle(document.querySelector(".vh")).position === "absolute"`,
	"the pairs are drawn":        `[...document.images].every(i => i.complete && i.naturalWidth > 0)`,
	"nothing can run":            `document.scripts.length === 0 && document.querySelectorAll("a, form, iframe, object").length === 0`,
	"nothing sticks out":         `document.documentElement.scrollWidth <= document.documentElement.clientWidth`,
	"rows are closed":            `[...document.querySelectorAll("tr.more")].every(r => getComputedStyle(r).display === "none")`,
	"every column has its name":  `[...document.querySelectorAll("tr.attack")].every(r => r.cells.length === document.querySelectorAll("thead th.unit").length + 2)`,
	"a row says what it is":      `[...document.querySelectorAll("tr.attack th summary")].every(s => s.querySelector(".title"))`,
	"marks are told in words":    `[...document.querySelectorAll("td.cell .mark")].every(m => m.nextElementSibling?.textContent)`,
	"headings stand in order":    `[...document.querySelectorAll("h1,h2,h3")].every((h, i, all) => i === 0 ? h.tagName === "H1" : +h.tagName[1] <= +all[i-1].tagName[1] + 1)`,
	"what is pressed is not low": `innerWidth > 1000 || [...document.querySelectorAll("tr.attack summary")].every(s => s.getBoundingClientRect().height >= 24)`,
}

func TestThePageInABrowser(t *testing.T) {
	server := serve(t)
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(fmt.Sprint(width, scheme), func(t *testing.T) {
				ctx := browser.Open(t)
				for _, name := range []string{"small", "large", "nasty"} {
					open(t, ctx, server.URL+"/"+name+".html", width, scheme)
					for what, expression := range truths {
						check(t, ctx, name+": "+what, expression)
					}
					shoot(t, ctx, fmt.Sprintf("%s-%d-%s", name, width, scheme))
				}
			})
		}
	}
}

func TestARowOpensWithoutScript(t *testing.T) { // SYSTEM G5
	server, ctx := serve(t), browser.Open(t)
	open(t, ctx, server.URL+"/small.html", 390, "light")
	if err := chromedp.Do(ctx, chromedp.Click("tr.attack summary")); err != nil {
		t.Fatal(err)
	}
	check(t, ctx, "its row is there", `getComputedStyle(document.querySelector("tr.more")).display === "table-row"`)
	check(t, ctx, "and no other", `[...document.querySelectorAll("tr.more")].filter(r => getComputedStyle(r).display !== "none").length === 1`)
	if err := chromedp.Do(ctx, chromedp.Click("tr.more .runs summary")); err != nil {
		t.Fatal(err)
	}
	check(t, ctx, "a run shows its steps", `document.querySelector("tr.more .steps").checkVisibility() && document.querySelector("tr.more .steps").innerText.includes("404 not-found rls")`)
	shoot(t, ctx, "open")
}

func TestNoWordsOfADrawingRunIntoOthers(t *testing.T) {
	server, ctx := serve(t), browser.Open(t)
	for _, name := range []string{"small", "large", "nasty", "small-pairs", "large-pairs", "nasty-pairs"} {
		open(t, ctx, server.URL+"/"+name+".svg", 1280, "light")
		check(t, ctx, name+": it is as wide as it is meant to be", `document.documentElement.viewBox.baseVal.width === 1200`)
		check(t, ctx, name+": all words are on the paper", `(() => {
			const paper = document.querySelector(".paper").getBoundingClientRect()
			return [...document.querySelectorAll("text")].every(w => { const b = w.getBoundingClientRect(); return b.left >= paper.left && b.right <= paper.right && b.top >= paper.top && b.bottom <= paper.bottom })
		})()`)
		check(t, ctx, name+": titles end before the columns", `(() => {
			const first = document.querySelector(".panel")?.getBoundingClientRect()
			return !first || [...document.querySelectorAll("text")].every(w => { const b = w.getBoundingClientRect(); return b.bottom < first.top || b.top > first.bottom || b.left >= first.left || b.right <= first.left })
		})()`)
		shoot(t, ctx, name)
	}
}

func open(t *testing.T, ctx context.Context, url string, width int64, scheme string) {
	t.Helper()
	prefer := chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), prefer, chromedp.Navigate(url)); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
}

// check waits a little for an expression to become true.
func check(t *testing.T, ctx context.Context, what, expression string) {
	t.Helper()
	var last error
	for range 20 {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err == nil && is {
			return
		}
		last = err
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("it is not so that %s (%v)", what, last)
}

// shoot keeps a picture for a person to look at, if -look says where.
func shoot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	if *look == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(*look, name+".png"), png, 0o600)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
