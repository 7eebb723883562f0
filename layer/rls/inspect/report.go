package inspect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// A Report is what an inspection found. Findings are in order: the objects with the gravest first, then by name.
type Report struct {
	Version      string      `json:"postgresql"`
	Database     string      `json:"database"`
	Role         string      `json:"role"` // as whom it was inspected
	TenantColumn string      `json:"tenant_column"`
	Guessed      bool        `json:"tenant_column_guessed"`
	Tables       int         `json:"tenant_tables"`
	Rules        int         `json:"rules"` // that were asked
	Findings     []Finding   `json:"findings"`
	Cut          []string    `json:"cut,omitempty"` // rules with more findings than are told
	Undecided    []Undecided `json:"undecided,omitempty"`

	number int
}

// A Finding is one fault of one object.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Object   string   `json:"object"`  // as SQL names it
	Problem  string   `json:"problem"` // what is wrong with it
	Why      string   `json:"why"`
	Mend     string   `json:"mend"`          // what to do, in words
	SQL      string   `json:"sql,omitempty"` // what does it, where SQL can; to be read before it is run
}

// An Undecided rule could not be asked, which is not the same as finding nothing.
type Undecided struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

// Count is the number of findings of one severity.
func (r *Report) Count(s Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

func rank(s Severity) int { return slices.Index(severities, s) }

func (r *Report) sort() {
	worst := map[string]int{}
	for _, f := range r.Findings {
		if w, ok := worst[f.Object]; !ok || rank(f.Severity) < w {
			worst[f.Object] = rank(f.Severity)
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(worst[a.Object]-worst[b.Object], strings.Compare(a.Object, b.Object), rank(a.Severity)-rank(b.Severity),
			strings.Compare(a.Rule, b.Rule), strings.Compare(a.Problem, b.Problem))
	})
}

// WriteJSON writes the report for programs. Members are added to it and never change their meaning.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	all := *r
	if all.Findings == nil {
		all.Findings = []Finding{} // a program expects a list
	}
	return e.Encode(all)
}

// WriteText writes the report for people, in colour if that is asked for.
func (r *Report) WriteText(w io.Writer, colour bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "PostgreSQL %s, database %s, inspected as %s\n%s\n", r.Version, plain(r.Database), plain(r.Role), r.tenants())
	for i, f := range r.Findings {
		if i == 0 || r.Findings[i-1].Object != f.Object {
			fmt.Fprintf(&b, "\n%s\n", paint(colour, "1", plain(f.Object)))
		}
		title, _ := Lookup(f.Rule)
		fmt.Fprintf(&b, "  %s %s  %s. %s\n", paint(colour, hues[f.Severity], fmt.Sprintf("%-7s", f.Severity)), f.Rule, title.Title, plain(f.Problem))
		fmt.Fprintf(&b, "    why   %s\n    mend  %s\n", f.Why, f.Mend)
		if f.SQL != "" {
			fmt.Fprintf(&b, "    sql   %s\n", strings.ReplaceAll(plain(f.SQL), "; ", ";\n          "))
		}
	}
	b.WriteString("\n" + r.sum())
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) tenants() string {
	switch {
	case r.TenantColumn == "":
		return "no tenants' column was found"
	case r.Guessed:
		return fmt.Sprintf("tenants are told apart by %s, by the look of %s; --tenant-column says otherwise", plain(r.TenantColumn), counted(r.Tables, "table"))
	}
	return fmt.Sprintf("tenants are told apart by %s, in %s", plain(r.TenantColumn), counted(r.Tables, "table"))
}

func (r *Report) sum() string {
	var b strings.Builder
	for _, id := range r.Cut {
		fmt.Fprintf(&b, "%s found more than the %d that are told.\n", id, perRule)
	}
	for _, u := range r.Undecided {
		fmt.Fprintf(&b, "%s could not be decided: %s.\n", u.Rule, u.Reason)
	}
	fmt.Fprintf(&b, "%s, %s, %s by %s\n", counted(r.Count(Error), "error"), counted(r.Count(Warning), "warning"), counted(r.Count(Note), "note"), counted(r.Rules, "rule"))
	return b.String()
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Lookup finds a rule by its ID.
func Lookup(id string) (Rule, bool) {
	all := Rules()
	i := slices.IndexFunc(all, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return Rule{}, false
	}
	return all[i], true
}

var hues = map[Severity]string{Error: "31", Warning: "33", Note: "36"}

func paint(colour bool, hue, text string) string {
	if !colour {
		return text
	}
	return "\x1b[" + hue + "m" + text + "\x1b[0m"
}

// plain shows a stranger's name without letting it move the cursor, change the terminal or turn the text around.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) {
			return unicode.ReplacementChar
		}
		return c
	}, s)
}
