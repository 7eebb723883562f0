package transport

import (
	"net/url"
	"strings"
	"unicode"
)

const maxLocalPath = 1 << 10

// LocalPath returns s if it is a path on this site, with or without a query, to which a person may be sent back after signing
// in, and reports whether it is (SYSTEM T4). Unlike the guard on redirects, which judges what our own handlers wrote, it judges
// what a stranger put into a link, and accepts only what everything on the way reads in the same manner: one leading slash, no
// empty, "." or ".." segment, no backslash, fragment, control or non-ASCII character, and in the path nothing that RFC 3986
// leaves out, and no percent-encoding of a control, a slash, a backslash, or a percent sign (which would decode to something else
// the second time).
func LocalPath(s string) (string, bool) {
	if len(s) > maxLocalPath || !strings.HasPrefix(s, "/") || strings.ContainsFunc(s, odd) || strings.Contains(s, "#") {
		return "", false
	}
	raw, query, _ := strings.Cut(s, "?")
	path, err := url.PathUnescape(raw)
	if err != nil || strings.ContainsAny(raw, "\"<>^`{|}") || !plainPath(path, raw) {
		return "", false
	}
	if _, err := url.ParseQuery(query); err != nil {
		return "", false
	}
	return s, true
}

// plainPath judges a path by its decoded form. raw tells an encoded slash from a written one.
func plainPath(path, raw string) bool {
	if strings.ContainsAny(path, `\%`) || strings.Count(path, "/") != strings.Count(raw, "/") {
		return false
	}
	for _, c := range path {
		if unicode.IsControl(c) || c == unicode.ReplacementChar { // the latter also stands for broken UTF-8
			return false
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		if s == "." || s == ".." || s == "" && !last {
			return false
		}
	}
	return true
}
