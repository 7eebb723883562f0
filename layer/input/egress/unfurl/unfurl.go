// Package unfurl says in a few words what is behind a link: the title and description that the page gives itself. It exists so that
// a post can show them, without any browser of a reader asking the page.
//
// # What it assumes has failed
//
// The page and everybody who wrote it. What it says of itself may be of any length, in any or a false encoding, may pretend to be
// another site, and may be written to be shown where it does harm.
//
// # What it stops
//
//   - Reaching inside: the page is asked for through package egress, and nothing else is asked for (SYSTEM N5). A refresh in the page is not
//     followed, no script runs, and og:url is not believed.
//   - Showing a picture from outside: addresses of images are not read, because asking for one tells its site who reads the post.
//   - Pretending: Site is the host that answered, in ASCII, so that letters which look alike do not. The page has no word in it.
//   - Growing: at most MaxPage bytes, MaxTokens tokens and MaxAttributes attributes of each are looked at (SYSTEM T6), and lengths are cut.
//   - Turning the text around: control characters and those that steer the direction of writing are taken out, white space is folded.
//
// # What it does not stop
//
// Lies: a page may call itself what it likes in its title. The texts are text, and may contain what would be a tag if they were taken
// for HTML: whoever shows them escapes them, as html/template does.
//
// # How it is knocked out in a drill
//
// It guards nothing alone: what reaches inside is stopped in package egress, and what it lets through is text, which the template
// that shows it escapes (TestWhatIsShownIsText). With either gone, the other still holds.
//
// # Example
//
//	link, found := unfurl.First(post.Source)
//	preview, err := unfurl.Read(ctx, client, link) // an *egress.Client
package unfurl

import (
	"context"
	"strings"

	"github.com/redoubt-dev/redoubt/layer/input/egress"
)

// The limits of what is read and given (SYSTEM T6).
const (
	MaxPage        = 512 << 10 // bytes, as they come and as they are decoded
	MaxTokens      = 1 << 14   // tags, texts and comments
	MaxToken       = 256 << 10 // bytes of one of them, such as a script: a longer one ends the reading
	MaxAttributes  = 32        // of one tag
	MaxTitle       = 200       // characters
	MaxDescription = 400       // characters
	MaxText        = 64 << 10  // bytes in which a link is looked for
	MaxCandidates  = 32        // beginnings of links that are looked at
)

// A Preview is what a page says of itself, as plain text.
type Preview struct {
	URL         string // where the page came from in the end
	Title       string // at most MaxTitle characters; empty when it gives itself none
	Description string // at most MaxDescription characters; may be empty
	Site        string // the host that answered; not what the page calls itself
}

// Read asks link for its page, and reads the beginning of it. Its refusals are those of client.
func Read(ctx context.Context, client *egress.Client, link string) (Preview, error) {
	answer, err := client.Get(ctx, link, egress.Want{Types: []string{"text/html"}, Bytes: MaxPage, Cut: true})
	if err != nil {
		return Preview{}, err
	}
	preview := read(answer.Body, answer.Charset)
	preview.URL, preview.Site = answer.URL, answer.Host
	return preview, nil
}

const scheme = "https://"

// First finds the first link in text that package egress would take, in its one spelling. Only https is looked for: a page that
// anybody on the way could have written is not shown in its site's name.
func First(text string) (link string, found bool) {
	text = text[:min(len(text), MaxText)]
	for range MaxCandidates {
		at := strings.Index(text, scheme)
		if at < 0 {
			return "", false
		}
		text = text[at:]
		candidate := text[:min(len(text), egress.MaxURL+1)]
		if end := strings.IndexFunc(candidate, ends); end >= 0 {
			candidate = candidate[:end]
		}
		if len(candidate) <= egress.MaxURL { // a longer one is not taken, and looking for its end would take its length squared
			if link, err := egress.Address(trimmed(candidate)); err == nil {
				return link, true
			}
		}
		text = text[len(scheme):]
	}
	return "", false
}

// ends reports whether r cannot be in a link that stands in text.
func ends(r rune) bool {
	return r <= ' ' || strings.ContainsRune("<>\"`|\\^{}\u00a0\u2028\u2029\u3000", r)
}

// trimmed leaves out what belongs to the sentence around a link: its full stop, and a bracket that was opened before it.
func trimmed(link string) string {
	for last := len(link) - 1; last >= len(scheme); last-- {
		link = link[:last+1]
		switch {
		case strings.IndexByte(".,;:!?'*_~", link[last]) >= 0:
		case link[last] == ')' && strings.Count(link, "(") < strings.Count(link, ")"):
		case link[last] == ']' && strings.Count(link, "[") < strings.Count(link, "]"):
		default:
			return link
		}
	}
	return scheme
}
