package identity_test

import (
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/identity"
)

const mainBranch = "repo:acme/web:ref:refs/heads/main"

func TestSubjectsThatFit(t *testing.T) { // SYSTEM I9
	for _, c := range []struct{ name, pattern, subject string }{
		{"the same", mainBranch, mainBranch},
		{"a whole segment", "repo:acme/*:ref:refs/heads/main", mainBranch},
		{"the beginning of one", "repo:acme/web:ref:refs/tags/v*", "repo:acme/web:ref:refs/tags/v1.2.3"},
		{"the end of one", "repo:acme/*-web:pull_request", "repo:acme/shop-web:pull_request"},
		{"both", "repo:acme/a*z:pull_request", "repo:acme/abz:pull_request"},
		{"several", "repo:acme/*:ref:refs/*/*", mainBranch},
		{"one segment, as clouds have", "117650927823456789012", "117650927823456789012"},
		{"a cluster's", "system:serviceaccount:prod:*", "system:serviceaccount:prod:deployer"},
		{"a space within", "repo:acme/web:environment:Production East", "repo:acme/web:environment:Production East"},
	} {
		if !identity.Fits(c.pattern, c.subject) {
			t.Errorf("%s: %q does not fit %q", c.name, c.subject, c.pattern)
		}
	}
}

func TestSubjectsThatDoNotFit(t *testing.T) { // SYSTEM I9
	for _, c := range []struct{ name, pattern, subject string }{
		{"something before", mainBranch, "x" + mainBranch},
		{"a segment before", mainBranch, "repo:" + mainBranch},
		{"something after", mainBranch, mainBranch + "x"},
		{"a segment after", mainBranch, mainBranch + "/x"},
		{"a separator after", mainBranch, mainBranch + "/"},
		{"a separator before", mainBranch, ":" + mainBranch},
		{"less", mainBranch, strings.TrimSuffix(mainBranch, "/main")},
		{"nothing", mainBranch, ""},
		{"other letters", mainBranch, strings.ToUpper(mainBranch)},
		{"one other letter", mainBranch, strings.Replace(mainBranch, "acme", "Acme", 1)},
		{"a line break after", mainBranch, mainBranch + "\n"},
		{"a line break and a second subject", mainBranch, mainBranch + "\nrepo:evil/web"},
		{"a line break before", mainBranch, "\n" + mainBranch},
		{"a zero byte", mainBranch, mainBranch + "\x00"},
		{"a space after", mainBranch, mainBranch + " "},
		{"a separator by percent", mainBranch, strings.Replace(mainBranch, "/", "%2F", 1)},
		{"a separator by another", mainBranch, strings.Replace(mainBranch, ":", "/", 1)},
		{"a full-width colon", mainBranch, strings.Replace(mainBranch, ":", "\uff1a", 1)},
		{"a letter that looks alike", mainBranch, strings.Replace(mainBranch, "acme", "\u0430cme", 1)},
		{"an accent composed otherwise", "repo:caf\u00e9/web:x", "repo:cafe\u0301/web:x"},
		{"bytes that are not UTF-8", mainBranch, mainBranch[:len(mainBranch)-1] + "\xff"},
		{"an invisible character", mainBranch, "repo:acme\u200b/web:ref:refs/heads/main"},
		{"a star of its own", "repo:acme/web:ref:refs/heads/main", "repo:acme/web:ref:refs/heads/*"},
		{"a star that should be a separator", "repo:acme/*:pull_request", "repo:acme/web/x:pull_request"},
		{"a star that should be two segments", "repo:acme/*", "repo:acme/web:pull_request"},
		{"a star for nothing", "repo:acme/*:pull_request", "repo:acme/:pull_request"},
		{"a star for nothing after a beginning", "repo:acme/web:ref:refs/tags/v*", "repo:acme/web:ref:refs/tags/v"},
		{"a beginning and an end that overlap", "repo:acme/aba*aba:x", "repo:acme/ababa:x"},
		{"a branch with a slash", "repo:acme/web:ref:refs/heads/*", "repo:acme/web:ref:refs/heads/x/y"},
		{"a branch that is named like an environment", "repo:acme/web:environment:*", "repo:acme/web:ref:refs/heads/environment:production"},
		{"a repository that is named like the owner", "repo:acme/*:pull_request", "repo:evil/acme/web:pull_request"},
		{"an empty segment", "repo:acme/web", "repo::acme/web"},
		{"too long", "repo:acme/*:x", "repo:acme/" + strings.Repeat("w", 250) + ":x"},
		{"percent as in SQL", "repo:acme/%", "repo:acme/web"},
		{"underscore as in SQL", "repo:acme/w_b", "repo:acme/web"},
		{"a question mark", "repo:acme/we?", "repo:acme/web"},
		{"a regular expression", "repo:acme/.+", "repo:acme/web"},
		{"an alternative", "repo:acme/web|x", "repo:acme/web"},
	} {
		if identity.Fits(c.pattern, c.subject) {
			t.Errorf("%s: %q fits %q", c.name, c.subject, c.pattern)
		}
	}
}

// brokenPatterns are refused when a trust is made, here and by the database, and would fit nothing.
var brokenPatterns = []struct{ name, pattern string }{
	{"nothing", ""},
	{"everything", "*"},
	{"everybody's", "repo:*/web"},
	{"everybody's everything", "repo:*/*:*"},
	{"a star in the first segment", "r*:acme/web"},
	{"a star in the second segment", "repo:acme*/web"},
	{"two stars in a segment", "repo:acme/*a*"},
	{"two stars", "repo:acme/**"},
	{"an empty segment", "repo:acme//web"},
	{"an empty segment at the beginning", ":repo:acme"},
	{"an empty segment at the end", "repo:acme/"},
	{"separators alone", ":/:"},
	{"a line break", "repo:acme/web\n"},
	{"a zero byte", "repo:acme/web\x00"},
	{"too long", "repo:acme/" + strings.Repeat("w", 250)},
}

func TestPatternsThatAreNone(t *testing.T) { // SYSTEM I9
	for _, c := range brokenPatterns {
		if identity.CheckPattern(c.pattern) == nil {
			t.Errorf("%s: %q is taken", c.name, c.pattern)
		}
		for _, subject := range []string{c.pattern, mainBranch, "repo:acme/web", ""} {
			if identity.Fits(c.pattern, subject) {
				t.Errorf("%s: %q fits %q", c.name, subject, c.pattern)
			}
		}
	}
	for _, pattern := range []string{" repo:acme/web", "repo:acme/web ", "repo:acme/w\xff", "repo:acme\u200b/web", "repo:acme/web\u2028"} {
		if identity.CheckPattern(pattern) == nil {
			t.Errorf("%q is taken", pattern)
		}
	}
}

// Whatever fits agrees with the pattern in all that was written out, and has as many segments.
func FuzzFits(f *testing.F) {
	f.Add("repo:acme/*:ref:refs/heads/main", mainBranch)
	f.Add("repo:acme/a*z", "repo:acme/abz")
	f.Add("repo:*/x", "repo:acme/x")
	f.Fuzz(func(t *testing.T, pattern, subject string) {
		if !identity.Fits(pattern, subject) {
			return
		}
		cut := func(s string) []string {
			return strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == '/' })
		}
		want, got := cut(pattern), cut(subject)
		if len(want) != len(got) || strings.Count(pattern, ":") != strings.Count(subject, ":") || strings.Count(pattern, "/") != strings.Count(subject, "/") {
			t.Fatalf("%q fits %q: other segments", subject, pattern)
		}
		for i := range want {
			before, after, star := strings.Cut(want[i], "*")
			if !strings.HasPrefix(got[i], before) || !strings.HasSuffix(got[i], after) || !star && want[i] != got[i] || star && i < 2 {
				t.Fatalf("%q fits %q: segment %d", subject, pattern, i+1)
			}
		}
		if strings.ContainsAny(subject, "\n\r\x00") {
			t.Fatalf("%q fits %q", subject, pattern)
		}
	})
}
