package picture_test

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

// grounds are the colours that stand on each ground, with the contrast that WCAG 2.2 asks for: 4.5 for text (1.4.3), 3 for what has a
// meaning by its form (1.4.11).
func grounds() map[string]map[string]float64 {
	page := map[string]float64{
		"ink": 4.5, "ink-soft": 4.5, "ink-faint": 4.5, "held": 4.5, "on-thin-soft": 4.5, "on-breach-soft": 4.5,
		"cause": 4.5, "thin": 3, "breach": 3, "mark-line": 3,
	}
	all := map[string]map[string]float64{
		"paper": page, "surface": page,
		"sunken":      {"ink": 4.5, "ink-soft": 4.5},
		"held-soft":   {"on-held-soft": 4.5},
		"thin-soft":   {"ink": 4.5, "ink-soft": 4.5, "ink-faint": 4.5, "on-thin-soft": 4.5, "held": 3, "thin": 3, "cause": 3, "mark-line": 3},
		"breach-soft": {"ink": 4.5, "ink-soft": 4.5, "ink-faint": 4.5, "on-breach-soft": 4.5, "held": 3, "breach": 3, "cause": 3},
	}
	for i := 1; i <= 4; i++ {
		all[fmt.Sprintf("heat-%d", i)] = map[string]float64{fmt.Sprintf("on-heat-%d", i): 4.5}
	}
	return all
}

func TestColoursContrastByDayAndByNight(t *testing.T) {
	css, err := os.ReadFile("palette.css")
	if err != nil {
		t.Fatal(err)
	}
	day, night, found := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("there is no night")
	}
	light := luminances(t, day)
	dark := maps.Clone(light)
	maps.Copy(dark, luminances(t, night))
	for theme, of := range map[string]map[string]float64{"light": light, "dark": dark} {
		for ground, colours := range grounds() {
			for colour, least := range colours {
				a, okA := of[colour]
				b, okB := of[ground]
				if !okA || !okB {
					t.Fatalf("there is no %s or %s", colour, ground)
				}
				if got := (max(a, b) + 0.05) / (min(a, b) + 0.05); got < least {
					t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", theme, colour, ground, got, least)
				}
			}
		}
	}
}

var token = regexp.MustCompile(`--([a-z0-9-]+): #([0-9a-f]{6});`)

func luminances(t *testing.T, css string) map[string]float64 {
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
