package identity

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A pattern says which subjects of an issuer a trust is for:
//
//	repo:acme/web:ref:refs/heads/main        that one
//	repo:acme/web:ref:refs/tags/v*           any tag that begins with v and has no slash
//	repo:acme/*:environment:production       any repository of acme
//
// The rule. Pattern and subject are split into segments at ':' and '/'. Both have as many segments, with the same separators between
// them, and no empty one. A segment is compared byte by byte: no case is folded, no percent sign decoded, nothing normalized. One '*'
// in a segment stands for one or more characters of that segment, and so never for a separator. The first two segments have none: the
// second is who owns the rest, at an issuer that serves everybody, and without it a pattern would be everybody's.
//
// There is no way to write "anything after this", on purpose: a pattern that ends early fits nothing longer.
const (
	separators     = ":/"
	maxSubject     = 255 // OpenID Connect Core 1.0 section 2
	namedSegments  = 2
	patternInWords = "has segments between : and /, none of them empty; the first two are named in full, and each of the others may hold one *"
)

var errPattern = errors.New("a subject pattern that breaks the rule")

// checkPattern reports whether pattern is one.
func checkPattern(pattern string) error {
	if !plainSubject(pattern) || strings.TrimSpace(pattern) != pattern {
		return errPattern
	}
	for i, rest := 0, pattern; ; i++ {
		segment, separator, after := nextSegment(rest)
		stars := strings.Count(segment, "*")
		if segment == "" || stars > 1 || stars == 1 && i < namedSegments {
			return errPattern
		}
		if separator == 0 {
			return nil
		}
		rest = after
	}
}

// fits reports whether subject is one that pattern names. A pattern that breaks the rule names none.
func fits(pattern, subject string) bool {
	if checkPattern(pattern) != nil || !plainSubject(subject) {
		return false
	}
	for {
		want, separator, restOfPattern := nextSegment(pattern)
		got, separatorToo, restOfSubject := nextSegment(subject)
		if separator != separatorToo || !fitsSegment(want, got) {
			return false
		}
		if separator == 0 {
			return true
		}
		pattern, subject = restOfPattern, restOfSubject
	}
}

func fitsSegment(want, got string) bool {
	before, after, star := strings.Cut(want, "*")
	if !star {
		return got != "" && want == got
	}
	return len(got) > len(before)+len(after) && strings.HasPrefix(got, before) && strings.HasSuffix(got, after)
}

// nextSegment cuts s at its first separator; at the end there is none, which is 0.
func nextSegment(s string) (segment string, separator byte, rest string) {
	i := strings.IndexAny(s, separators)
	if i < 0 {
		return s, 0, ""
	}
	return s[:i], s[i], s[i+1:]
}

// plainSubject refuses what two readers could take for different subjects, or cannot see.
func plainSubject(s string) bool {
	return s != "" && len(s) <= maxSubject && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) })
}
