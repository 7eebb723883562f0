package unfurl

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// A head is what was found so far. Of two that say the same, the first counts.
type head struct {
	title map[string]string // by where it is said
	about map[string]string
}

// read takes a page's title and description. It reads a stream of tags and builds no tree, so that nesting costs nothing.
func read(page []byte, label string) Preview {
	z := html.NewTokenizer(decoded(page, label))
	z.SetMaxBuf(MaxToken)
	h := head{map[string]string{}, map[string]string{}}
	for range MaxTokens {
		kind := z.Next()
		if kind == html.ErrorToken || !h.token(z, kind) {
			break
		}
	}
	return Preview{
		Title:       clean(first(h.title, "og:title", "twitter:title", "title"), MaxTitle),
		Description: clean(first(h.about, "og:description", "twitter:description", "description"), MaxDescription),
	}
}

func first(said map[string]string, order ...string) string {
	for _, where := range order {
		if strings.TrimSpace(said[where]) != "" {
			return said[where]
		}
	}
	return ""
}

// decoded is the page in UTF-8: by its byte order mark, by what the answer said, by what the page says within its first kilobyte, in this
// order (HTML, "determining the character encoding"). A page that says nothing and is UTF-8 throughout is taken for it. Encodings that hide
// ASCII, such as UTF-7, are not among the web's, and so are not decoded.
func decoded(page []byte, label string) io.Reader {
	encoding, name, certain := charset.DetermineEncoding(page, "text/html; charset="+label)
	if !certain && name == "windows-1252" && utf8.Valid(whole(page)) {
		return bytes.NewReader(page)
	}
	return io.LimitReader(encoding.NewDecoder().Reader(bytes.NewReader(page)), MaxPage)
}

// whole is the page without a character that its end may have cut in two.
func whole(page []byte) []byte {
	for i := len(page) - 1; i >= 0 && i > len(page)-utf8.UTFMax; i-- {
		if utf8.RuneStart(page[i]) {
			if !utf8.FullRune(page[i:]) {
				return page[:i]
			}
			break
		}
	}
	return page
}

// token looks at one token, and reports whether the head goes on. Any element that cannot be in a head begins the body (HTML, "the in
// head insertion mode"): what others have written into the page is not what it says of itself.
func (h *head) token(z *html.Tokenizer, kind html.TokenType) (more bool) {
	if kind != html.StartTagToken && kind != html.SelfClosingTagToken && kind != html.EndTagToken {
		return true
	}
	raw, attributes := z.TagName()
	name := atom.Lookup(raw)
	if kind == html.EndTagToken {
		return name != atom.Head
	}
	switch name {
	case atom.Meta:
		if attributes {
			h.meta(z)
		}
	case atom.Title:
		if z.Next() == html.TextToken {
			keep(h.title, "title", string(z.Text()))
		}
	case atom.Html, atom.Head, atom.Link, atom.Base, atom.Script, atom.Style, atom.Noscript:
	default:
		return false
	}
	return true
}

// meta keeps what one meta element says, if it is of use.
func (h *head) meta(z *html.Tokenizer) {
	said := map[string]string{}
	for range MaxAttributes {
		key, value, more := z.TagAttr()
		keep(said, string(key), string(value))
		if !more {
			break
		}
	}
	for _, by := range []string{"property", "name"} {
		switch what := strings.ToLower(strings.TrimSpace(said[by])); what {
		case "og:title", "twitter:title":
			keep(h.title, what, said["content"])
		case "og:description", "twitter:description", "description":
			keep(h.about, what, said["content"])
		}
	}
}

// keep holds on to the first that is said.
func keep(said map[string]string, where, text string) {
	if _, there := said[where]; !there {
		said[where] = text
	}
}
