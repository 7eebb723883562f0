package link

const (
	ofToken = 1 << iota // RFC 9110 section 5.6.2
	lower
	upper
)

var class = func() (t [256]byte) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789" {
		t[c] = ofToken
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = ofToken|lower, ofToken|upper
	}
	return t
}()

func isToken(s string) bool {
	for i := range len(s) {
		if class[s[i]] == 0 {
			return false
		}
	}
	return s != ""
}

// isName reports whether s is a header's name in its one spelling, that of http.CanonicalHeaderKey.
func isName(s string) bool {
	wrong := byte(lower)
	for i := range len(s) {
		c := class[s[i]]
		if c == 0 || c&wrong != 0 {
			return false
		}
		if wrong = upper; s[i] == '-' {
			wrong = lower
		}
	}
	return s != ""
}

// isValue reports whether s can be a header's value, RFC 9110 section 5.5.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return s == "" || s[0] > ' ' && s[len(s)-1] > ' '
}

// graphic reports whether s has neither spaces nor control characters.
func graphic(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
