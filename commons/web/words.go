package web

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"html/template"
	"strings"
	"time"
	"unicode"
)

// functions are what templates may call besides the page's own methods.
func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"asset":    s.assets.path,
		"money":    money,
		"initials": initials,
		"hue":      hue,
		"name":     displayName,
		"gone":     gone,
		"person":   func(name, picture string) person { return person{name, picture} },
		"count":    count,
		"number":   thousands,
		"pager":    newPager,
	}
}

// A moment is a time as seen from now.
type moment struct{ t, now time.Time }

// Known reports whether there is such a moment at all.
func (m moment) Known() bool { return !m.t.IsZero() }

// Machine is for the datetime attribute.
func (m moment) Machine() string { return m.t.UTC().Format(time.RFC3339) }

// Exact is for those who want to know it exactly.
func (m moment) Exact() string { return m.t.UTC().Format("2 January 2006, 15:04 UTC") }

// Day is the date alone.
func (m moment) Day() string { return m.t.UTC().Format("2 January 2006") }

// Words says how long ago it was, or how far off it is; beyond a month, the date.
func (m moment) Words() string {
	d := m.now.Sub(m.t)
	switch {
	case d < -time.Minute:
		return m.ahead(-d)
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute", "minutes") + " ago"
	case d < 24*time.Hour:
		return count(int(d/time.Hour), "hour", "hours") + " ago"
	case d < 30*24*time.Hour:
		return count(int(d/(24*time.Hour)), "day", "days") + " ago"
	case m.t.Year() == m.now.Year():
		return m.t.UTC().Format("2 January")
	}
	return m.Day()
}

func (m moment) ahead(d time.Duration) string {
	switch d = d.Round(time.Minute); {
	case d < time.Hour:
		return "in " + count(int(d/time.Minute), "minute", "minutes")
	case d < 24*time.Hour:
		return "in " + count(int(d.Round(time.Hour)/time.Hour), "hour", "hours")
	case d < 60*24*time.Hour:
		return "in " + count(int(d.Round(24*time.Hour)/(24*time.Hour)), "day", "days")
	}
	return m.Day()
}

// count is a number with its noun: "1 comment", "12 comments".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// symbols are the currencies that are written with a sign before the amount.
var symbols = map[string]string{"": "€", "EUR": "€", "USD": "$", "GBP": "£"}

// money writes an amount of cents: "€1,240.00". Cents are whole numbers all the way; no float ever touches them.
func money(cents int64, currency string) string {
	sign, magnitude := "", uint64(cents)
	if cents < 0 {
		sign, magnitude = "−", -magnitude // two's complement: right for the least int64 as well
	}
	amount := fmt.Sprintf("%s.%02d", grouped(fmt.Sprint(magnitude/100)), magnitude%100)
	if symbol, ok := symbols[currency]; ok {
		return sign + symbol + amount
	}
	return sign + amount + "\u00a0" + currency
}

// thousands writes a number with a comma between thousands.
func thousands(n int) string {
	if n < 0 {
		return "−" + grouped(fmt.Sprint(-uint64(n)))
	}
	return grouped(fmt.Sprint(n))
}

func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// deleted is the name of someone who has been deleted (SYSTEM I8).
const deleted = "[Deleted User]"

func displayName(name string) string { return cmp.Or(strings.TrimSpace(name), deleted) }

func gone(name string) bool { return displayName(name) == deleted }

// initials are up to two letters that stand for a name in its avatar. Only letters and digits qualify, so that a hostile name
// cannot put controls there.
func initials(name string) string {
	var letters []rune
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
	for _, w := range words {
		for _, r := range w {
			letters = append(letters, unicode.ToUpper(r))
			break
		}
	}
	switch {
	case len(letters) == 0 || gone(name):
		return "?"
	case len(letters) == 1:
		return string(letters)
	}
	return string([]rune{letters[0], letters[len(letters)-1]})
}

// A person is shown by their picture, or by their initials.
type person struct {
	Name    string
	Picture string // a file; empty for none
}

// hues is how many avatar colours tokens.css has: classes hue-0 to hue-11.
const hues = 12

// hue is the class of a name's colour: stable, so that a person is recognised by it.
func hue(name string) string {
	if gone(name) {
		return "hue-none"
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	sum := h.Sum32()
	return fmt.Sprintf("hue-%d", (sum^sum>>16)%hues) // folded, because the low bits alone favour even hues
}
