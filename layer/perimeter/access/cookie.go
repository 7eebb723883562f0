package access

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The names of the gate's cookies begin alike. "__Host-" has browsers take them from this very host alone, over TLS, and for every
// path (RFC 6265bis section 4.1.3.2), so that no neighbour under the same domain can plant one.
const (
	cookiePrefix  = "__Host-redoubt-edge"
	sessionCookie = cookiePrefix          // and "-1", "-2" for what does not fit
	signOnCookie  = cookiePrefix + "-at-" // and the beginning of the state: several tabs may sign on at once
	mailCookie    = cookiePrefix + "-mail"
	formCookie    = cookiePrefix + "-form"

	maxCookieValue  = 3800 // bytes: browsers take 4096 with the name
	maxCookieParts  = 3
	maxSignOnCookie = 8 // sign-ons that one browser may have begun
)

var ownName = strings.ToLower(cookiePrefix)

// own are the gate's cookies of one request. One that came twice is not there: whoever set it, they cannot both be right.
type own map[string]string

// takeCookies removes from h whatever could be read as a cookie of ours, in any spelling, and returns those in the right one. What the
// application gets is what the browser sent, less ours (SYSTEM P4).
func takeCookies(h http.Header) own {
	lines := h["Cookie"]
	if len(lines) == 0 {
		return nil
	}
	var ours own
	var kept []string
	changed := false
	for _, line := range lines {
		if !mayHoldOwn(line) {
			kept = append(kept, line)
			continue
		}
		rest := ours.take(line)
		changed = changed || rest != line
		if rest != "" {
			kept = append(kept, rest)
		}
	}
	switch {
	case len(kept) == 0:
		delete(h, "Cookie")
	case changed:
		h["Cookie"] = kept
	}
	return ours
}

// mayHoldOwn is the quick look: nearly every request of a stranger ends here.
func mayHoldOwn(line string) bool {
	return strings.Contains(line, "%") || strings.Contains(line, cookiePrefix) || strings.Contains(strings.ToLower(line), ownName)
}

func (o *own) take(line string) (rest string) {
	var kept []string
	for pair := range strings.SplitSeq(line, ";") {
		if !isOwn(pair) {
			kept = append(kept, pair)
			continue
		}
		name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !strings.HasPrefix(name, cookiePrefix) {
			continue
		}
		if *o == nil {
			*o = own{}
		}
		if _, twice := (*o)[name]; twice {
			value = ""
		}
		(*o)[name] = value
	}
	return strings.TrimLeft(strings.Join(kept, ";"), " \t")
}

// isOwn looks for our name anywhere in the pair, since readers differ in case, in quotes, in commas and in whether they unescape.
func isOwn(pair string) bool {
	if strings.HasPrefix(strings.TrimLeft(pair, " \t"), cookiePrefix) {
		return true // as every honest browser sends it
	}
	low := strings.ToLower(pair)
	return strings.Contains(low, ownName) || strings.Contains(low, "%") && strings.Contains(strings.ToLower(unescape(low)), ownName)
}

// unescape undoes percent-encoding as far as it goes, as forgiving readers do.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// DropCookies removes from an application's answer what would set or unset a cookie of the gate's: whom a browser is signed on as is
// not the application's to say.
func DropCookies(h http.Header) {
	lines := h["Set-Cookie"]
	for i, line := range lines {
		if !isOwnSet(line) {
			continue
		}
		kept := append([]string(nil), lines[:i]...)
		for _, l := range lines[i+1:] {
			if !isOwnSet(l) {
				kept = append(kept, l)
			}
		}
		if len(kept) == 0 {
			delete(h, "Set-Cookie")
		} else {
			h["Set-Cookie"] = kept
		}
		return
	}
}

func isOwnSet(line string) bool {
	pair, _, _ := strings.Cut(line, ";")
	return isOwn(pair)
}

// setCookie keeps value in the browser; a life of zero ends it.
func setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds())}
	if life <= 0 {
		c.Value, c.MaxAge = "", -1
	}
	http.SetCookie(w, c)
}

// setSession spreads a sealed session over as many cookies as it needs, and ends those that an earlier one needed. It says whether it
// fits.
func setSession(w http.ResponseWriter, ours own, sealed string, life time.Duration) bool {
	if len(sealed) > maxCookieParts*maxCookieValue {
		return false
	}
	for i := range maxCookieParts {
		part := sealed[:min(len(sealed), maxCookieValue)]
		sealed = sealed[len(part):]
		if part != "" {
			setCookie(w, partName(i), part, life)
		} else if _, there := ours[partName(i)]; there {
			setCookie(w, partName(i), "", 0)
		}
	}
	return true
}

func partName(i int) string {
	if i == 0 {
		return sessionCookie
	}
	return sessionCookie + "-" + strconv.Itoa(i)
}

// sealedSession joins what setSession has spread.
func (o own) sealedSession() string {
	first := o[sessionCookie]
	if len(first) < maxCookieValue {
		return first
	}
	all := first
	for i := 1; i < maxCookieParts; i++ {
		all += o[partName(i)]
	}
	return all
}

func endSession(w http.ResponseWriter, ours own) {
	for i := range maxCookieParts {
		if _, there := ours[partName(i)]; there || i == 0 {
			setCookie(w, partName(i), "", 0)
		}
	}
}
