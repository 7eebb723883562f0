package access_test

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"
)

// pairs of text and ground that stand on each other, with the least contrast that WCAG 2.2 asks for (1.4.3, 1.4.11).
var pairs = []struct {
	text, ground string
	least        float64
}{
	{"ink", "paper", 4.5}, {"ink", "surface", 4.5}, {"ink", "sunken", 4.5}, {"ink-soft", "surface", 4.5}, {"ink-faint", "surface", 4.5}, {"ink-faint", "sunken", 4.5},
	{"ink-faint", "paper", 4.5}, {"accent", "surface", 4.5}, {"accent-strong", "surface", 4.5}, {"on-accent", "accent", 4.5}, {"on-accent", "accent-strong", 4.5},
	{"on-accent-soft", "accent-soft", 4.5}, {"on-danger-soft", "danger-soft", 4.5}, {"line-field", "surface", 3}, {"accent", "paper", 3},
}

var colour = regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`)

func TestTheColoursCanBeRead(t *testing.T) {
	light, dark, found := strings.Cut(access.Style(), "prefers-color-scheme: dark")
	if !found {
		t.Fatal("there is no dark scheme")
	}
	dark, _, _ = strings.Cut(dark, "box-sizing")
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]float64{}
		for _, m := range colour.FindAllStringSubmatch(text, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		for _, p := range pairs {
			one, ok := colours[p.text]
			two, there := colours[p.ground]
			if !ok || !there {
				t.Errorf("%s: %s or %s is no colour", scheme, p.text, p.ground)
				continue
			}
			if got := (math.Max(one, two) + 0.05) / (math.Min(one, two) + 0.05); got < p.least {
				t.Errorf("%s: %s on %s has %.2f, less than %.1f", scheme, p.text, p.ground, got, p.least)
			}
		}
	}
}

// luminance is relative luminance as WCAG 2.2 defines it.
func luminance(t *testing.T, hex string) float64 {
	var c [3]uint8
	if _, err := fmt.Sscanf(hex, "%02x%02x%02x", &c[0], &c[1], &c[2]); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v := float64(c[i]) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
