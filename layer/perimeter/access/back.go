package access

import (
	"net/url"
	"strings"
)

const maxBack = 2048 // bytes of the way back; who came from further away arrives at the start

// backTo is the way back after signing on: the path of a page of this same host, or the start. Whatever it says, it is only ever put
// behind the host's own origin, so that it leads nowhere else.
func backTo(path string) string {
	if len(path) > maxBack || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, odd) {
		return "/"
	}
	if u, err := url.Parse(path); err != nil || u.Host != "" || u.Scheme != "" || strings.HasPrefix(u.Path, strings.TrimSuffix(Reserved, "/")) {
		return "/"
	}
	return path
}

func odd(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' || c == '#' }

func (g *Guard) signOnPath(back string) string {
	if back = backTo(back); back == "/" {
		return Reserved + "sign-on"
	}
	return Reserved + "sign-on?" + url.Values{"to": {back}}.Encode()
}
