package web_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A pair is a colour and the ground on which it is shown, with the contrast that WCAG 2.2 asks for: 4.5 for text (1.4.3), 3 for
// the outlines of controls (1.4.11).
type pair struct {
	colour, ground string
	least          float64
}

func pairs() []pair {
	all := []pair{
		{"on-accent", "accent", 4.5}, {"on-accent", "accent-strong", 4.5},
		{"on-accent-soft", "accent-soft", 4.5}, {"on-caution-soft", "caution-soft", 4.5}, {"on-caution-soft", "surface", 4.5},
		{"on-danger", "danger", 4.5}, {"on-danger", "danger-strong", 4.5}, {"on-danger-soft", "danger-soft", 4.5},
		{"danger", "sunken", 4.5}, {"accent", "sunken", 4.5}, {"paper", "ink", 4.5}, {"tile-teal", "surface", 3},
	}
	for _, ground := range []string{"paper", "surface"} {
		for _, colour := range []string{"ink", "ink-soft", "ink-faint", "accent", "accent-strong", "danger"} {
			all = append(all, pair{colour, ground, 4.5})
		}
		all = append(all, pair{"line-field", ground, 3}, pair{"ring", ground, 3})
	}
	for _, colour := range []string{"ink", "ink-soft", "ink-faint"} {
		all = append(all, pair{colour, "sunken", 4.5})
	}
	for i := range 12 {
		all = append(all, pair{fmt.Sprintf("on-hue-%d", i), fmt.Sprintf("hue-%d", i), 4.5})
	}
	return all
}

func TestColoursContrastInBothThemes(t *testing.T) {
	css, err := os.ReadFile("layout/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	day, night, found := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("there is no dark theme")
	}
	light := colours(t, day)
	dark := maps.Clone(light)
	maps.Copy(dark, colours(t, night))
	for name, theme := range map[string]map[string]float64{"light": light, "dark": dark} {
		for _, p := range pairs() {
			if got := contrast(t, theme, p); got < p.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", name, p.colour, p.ground, got, p.least)
			}
		}
	}
}

var token = regexp.MustCompile(`--([a-z0-9-]+): #([0-9a-f]{6});`)

// colours reads the relative luminance of every token that is a plain colour.
func colours(t *testing.T, css string) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, m := range token.FindAllStringSubmatch(css, -1) {
		rgb, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		all[m[1]] = 0.2126*linear(rgb>>16) + 0.7152*linear(rgb>>8) + 0.0722*linear(rgb)
	}
	return all
}

func linear(channel uint64) float64 {
	c := float64(channel&0xff) / 255
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

func contrast(t *testing.T, theme map[string]float64, p pair) float64 {
	t.Helper()
	a, okA := theme[p.colour]
	b, okB := theme[p.ground]
	if !okA || !okB {
		t.Fatalf("there is no token %s or %s", p.colour, p.ground)
	}
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}
