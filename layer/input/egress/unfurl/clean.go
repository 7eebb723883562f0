package unfurl

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes text fit to stand in a line of somebody else's: white space is folded, what is not seen is gone, and what is longer than
// most characters is cut and ends in an ellipsis.
func clean(text string, most int) string {
	var out strings.Builder
	count, gap := 0, false
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			gap = true
			continue
		case !shown(r):
			continue
		}
		wide := 1
		if gap = gap && count > 0; gap {
			wide = 2
		}
		if count+wide > most {
			return cut(out.String(), count, most)
		}
		if gap {
			out.WriteByte(' ')
		}
		out.WriteRune(r)
		count, gap = count+wide, false
	}
	return out.String()
}

// cut ends text of count characters in an ellipsis, within most.
func cut(text string, count, most int) string {
	if count == most {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return strings.TrimRight(text, " ") + "…"
}

// shown reports whether r may stand in the text. Characters of the kind Cf steer the direction of writing, join, part and hide (UTS 55);
// of these only the two stay without which Persian and some emoji are misspelled. Private and unassigned ones show nothing certain, and a
// replacement character shows that something could not be read.
func shown(r rune) bool { return r == '\u200c' || r == '\u200d' || unicode.IsGraphic(r) }
