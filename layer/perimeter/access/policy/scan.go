package policy

import "strings"

// Limits of what is read as policies.
const (
	MaxFile    = 256 << 10 // bytes of a file
	MaxFiles   = 100
	MaxRules   = 2000     // of all files
	MaxRule    = 16 << 10 // bytes of one rule
	MaxNesting = 64       // brackets within brackets, in one rule
)

// A statement is the text of one rule, where it begins, and how deep its brackets go.
type statement struct {
	text   string
	offset int
	depth  int
}

// statements splits a text where a semicolon ends a rule, so that a fault in one does not hide those in the next. What follows the
// last semicolon is a statement too, if it is more than blanks and comments.
func statements(text string) (all []statement) {
	start, depth, deepest := -1, 0, 0
	for i := 0; i < len(text); {
		n := tokenLength(text[i:])
		if blank(text[i : i+n]) {
			i += n
			continue
		}
		if start < 0 {
			start, depth, deepest = i, 0, 0
		}
		switch text[i] {
		case '(', '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ')', ']', '}':
			depth--
		}
		i += n
		if text[i-1] == ';' && n == 1 {
			all = append(all, statement{text[start:i], start, deepest})
			start = -1
		}
	}
	if start >= 0 {
		all = append(all, statement{strings.TrimSpace(text[start:]), start, deepest})
	}
	return all
}

// tokenLength is the length of the string, comment or single byte that s begins with.
func tokenLength(s string) int {
	switch {
	case strings.HasPrefix(s, "//"):
		if end := strings.IndexByte(s, '\n'); end >= 0 {
			return end + 1
		}
		return len(s)
	case s[0] == '"':
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(s)
	}
	return 1
}

func blank(token string) bool {
	return strings.HasPrefix(token, "//") || strings.TrimSpace(token) == ""
}

// position is the line and the column of an offset, both from 1; a column is a character.
func position(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
}

// locate is where one of the needles is first found in a rule's own code, outside comments; otherwise its beginning.
func locate(s statement, needles ...string) (offset int) {
	for _, needle := range needles {
		if needle == "" {
			continue
		}
		for i := 0; i < len(s.text); {
			if strings.HasPrefix(s.text[i:], needle) {
				return s.offset + i
			}
			if strings.HasPrefix(s.text[i:], "//") {
				i += tokenLength(s.text[i:])
				continue
			}
			if s.text[i] == '"' && needle[0] != '"' && !strings.Contains(needle, `"`) {
				i += tokenLength(s.text[i:])
				continue
			}
			i++
		}
	}
	return s.offset
}
