package identity

import (
	"strings"
)

// An Address is an e-mail address to which an invitation is bound, in the one form in which two of them are compared. Made by
// ParseAddress; the zero Address is none, and equal to nobody's.
//
// The rule. An address is ASCII: a local part of letters, digits and RFC 5322's other atoms and dots, at most 64 of them, and a domain of
// letters, digits, hyphens and dots with at least one dot. Capital letters of both parts are made small, byte by byte; then they are
// compared byte by byte. Nothing else is folded: a dot, or what follows a plus sign, makes another address.
//
// RFC 5321 section 2.4 leaves it to the recipient's host whether Ann@ and ann@ are one. No host in use tells them apart, and people and
// providers write either; a host that did would have given out addresses that nobody can say on the telephone. Letters beyond ASCII are
// refused rather than folded, because that is where look-alikes live: a Cyrillic a is no a, and Unicode makes a Kelvin sign a small k, so that
// a comparison which folds by Unicode lets whoever holds one address be taken for whoever holds the other. An internationalized domain
// is written in its ASCII form (RFC 5890 section 2.3.2.1), which looks like what it is; addresses with other local parts (RFC 6531) cannot be invited.
type Address string

const (
	maxAddress = 254 // RFC 5321 section 4.5.3.1.3
	maxLocal   = 64  // RFC 5321 section 4.5.3.1.1
	maxDomain  = 253
	maxLabel   = 63 // RFC 1035 section 2.3.4
)

// ParseAddress reads an address, and reports whether it is one by the rule.
func ParseAddress(s string) (Address, bool) {
	if len(s) > maxAddress {
		return "", false
	}
	local, domain, found := strings.Cut(s, "@")
	if !found || !isLocal(local) || !isDomain(domain) {
		return "", false
	}
	small := []byte(s)
	for i, c := range small {
		if 'A' <= c && c <= 'Z' {
			small[i] = c + 'a' - 'A'
		}
	}
	return Address(small), true
}

func isLocal(s string) bool {
	if s == "" || len(s) > maxLocal || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && !strings.ContainsRune(".!#$%&'*+/=?^_`{|}~-", rune(s[i])) {
			return false
		}
	}
	return true
}

func isDomain(s string) bool {
	if len(s) > maxDomain || !strings.Contains(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if !alphanumeric(label[i]) && label[i] != '-' {
				return false
			}
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
