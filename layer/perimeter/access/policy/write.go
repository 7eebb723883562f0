package policy

import (
	"fmt"
	"strings"
)

// String is an Explanation for people. What comes from outside is quoted, so that it cannot speak to a terminal.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s: %s", printable(e.Request), answer(e.Decision.Allow), e.Decision.Why)
	if e.Decision.Rule != "" {
		fmt.Fprintf(&b, ", %s", e.Decision.Rule)
	}
	b.WriteString("\n")
	if e.Path != "" {
		fmt.Fprintf(&b, "\nThe path is %s", printable(e.Path))
		if e.Careless != "" {
			fmt.Fprintf(&b, "; a careless application may read %s", printable(e.Careless))
		}
		b.WriteString(".\n")
	}
	section(&b, "Rules that apply:", e.Applied)
	section(&b, "Rules that nearly let in:", e.Near)
	if e.SignOn != nil {
		fmt.Fprintf(&b, "\nSigning on %s.\n", map[bool]string{true: "could help", false: "would not help"}[*e.SignOn])
	}
	return b.String()
}

func answer(allow bool) string {
	if allow {
		return "allowed"
	}
	return "denied"
}

func section(b *strings.Builder, title string, rules []Stated) {
	if len(rules) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	for _, r := range rules {
		fmt.Fprintf(b, "\n  %s%s\n", r.Rule, r.remark())
		for line := range strings.Lines(r.Text) {
			fmt.Fprintf(b, "    %s\n", printable(strings.TrimRight(line, "\r\n")))
		}
		for _, m := range r.Missed {
			fmt.Fprintf(b, "    > %s: %s\n", m.said(), printable(strings.Join(strings.Fields(m.Text), " ")))
		}
	}
}

func (r Stated) remark() string {
	var s string
	if r.Decides {
		s += ", which decides"
	}
	if r.Erred {
		s += ", which could not be evaluated and therefore denies"
	}
	switch {
	case r.Careless && len(r.Missed) > 0:
		s += ", but not to the careless reading"
	case r.Careless:
		s += ", by the careless reading"
	}
	return s
}

// said is what it means that a part of a rule is missed.
func (p Part) said() string {
	switch p.Name {
	case "when":
		return "this does not hold"
	case "unless":
		return "this holds, or cannot be evaluated"
	}
	return "another " + p.Name + " is asked for"
}

// printable keeps letters and replaces what steers a terminal or turns the direction of writing.
func printable(s string) string {
	quoted := fmt.Sprintf("%q", s)
	quoted = quoted[1 : len(quoted)-1]
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\t`, "  ").Replace(quoted)
}
