package web

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestMoneyIsWrittenFromCents(t *testing.T) {
	for _, c := range []struct {
		cents    int64
		currency string
		want     string
	}{
		{0, "", "€0.00"},
		{5, "EUR", "€0.05"},
		{124000, "USD", "$1,240.00"},
		{100000000, "GBP", "£1,000,000.00"},
		{4950, "CHF", "49.50\u00a0CHF"},
		{-250, "EUR", "−€2.50"},
		{math.MaxInt64, "EUR", "€92,233,720,368,547,758.07"},
		{math.MinInt64, "EUR", "−€92,233,720,368,547,758.08"},
	} {
		if got := money(c.cents, c.currency); got != c.want {
			t.Errorf("%d %s is %q, want %q", c.cents, c.currency, got, c.want)
		}
	}
}

func TestMomentsAreToldAsPeopleTellThem(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		off  time.Duration
		want string
	}{
		{0, "just now"},
		{30 * time.Second, "just now"}, // a clock that is a little ahead
		{-59 * time.Second, "just now"},
		{-time.Minute, "1 minute ago"},
		{-59 * time.Minute, "59 minutes ago"},
		{-time.Hour, "1 hour ago"},
		{-23 * time.Hour, "23 hours ago"},
		{-24 * time.Hour, "1 day ago"},
		{-29 * 24 * time.Hour, "29 days ago"},
		{-45 * 24 * time.Hour, "8 October"},
		{-400 * 24 * time.Hour, "18 October 2025"},
		{10 * time.Minute, "in 10 minutes"},
		{3 * time.Hour, "in 3 hours"},
		{30 * 24 * time.Hour, "in 30 days"},
		{365 * 24 * time.Hour, "22 November 2027"},
	} {
		if got := (moment{now.Add(c.off), now}).Words(); got != c.want {
			t.Errorf("%v off is %q, want %q", c.off, got, c.want)
		}
	}
	if (moment{}).Known() {
		t.Error("the zero time is known")
	}
}

func TestInitialsAreLettersOnly(t *testing.T) {
	for name, want := range map[string]string{
		"Alice Rasmussen":   "AR",
		"alice":             "A",
		"Matthias Ó Briain": "MB",
		"田中 さくら":            "田さ",
		"<script> \u202e":   "S",
		"":                  "?",
		"   ":               "?",
		"[Deleted User]":    "?",
		"💥💥":                "?",
	} {
		if got := initials(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestHuesAreStableAndKnown(t *testing.T) {
	seen := map[string]bool{}
	for i := range 200 {
		name := strings.Repeat("x", i+1)
		if first, again := hue(name), hue(name); first != again {
			t.Fatal("a hue changes")
		}
		seen[hue(name)] = true
	}
	if len(seen) != hues {
		t.Errorf("%d hues are used, want %d", len(seen), hues)
	}
	if got := hue(""); got != "hue-none" {
		t.Errorf("nobody is %q", got)
	}
}

func TestNumbersAreGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "−1,000"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestFieldsOfAPartAreMarkedAsAWhole(t *testing.T) {
	if !(field{Value: "a:read, b:write c:read"}).Has("b:write") || (field{Value: "ab"}).Has("a") {
		t.Error("a list of words is misread")
	}
}

func FuzzInitials(f *testing.F) {
	f.Add("Alice")
	f.Add("\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		if got := initials(s); got == "" || len([]rune(got)) > 2 || strings.ContainsAny(got, "<>\"'&\u202e") {
			t.Errorf("the initials of %q are %q", s, got)
		}
	})
}
