package drill

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/target"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// Day is a day of legitimate use of Commons over its public surface, by people and a program of Acme: they sign in, read, write with a
// picture, comment, buy, call off, administer. It fails at the first thing that does not go as it should.
func Day(ctx context.Context, c *target.Copy) error {
	d := &day{ctx: ctx, copy: c, tokens: map[*target.Client]string{}, word: fmt.Sprintf("On the %s wall", strings.ReplaceAll(c.Origin, ":", ""))}
	alice, bob := d.signIn("alice"), d.signIn("bob")
	program := c.Client(target.Inside)
	program.Bearer = c.Key("bob")

	product := d.offer(alice, program)
	d.talk(bob, program)
	d.buy(alice, bob, program, product)
	d.see(alice, "/admin/members", "bob@acme.test")
	d.see(alice, "/admin/audit", "Audit trail")
	d.see(bob, "/courses", "Your first rope")
	for _, who := range []*target.Client{alice, bob, program} {
		who.HTTP.CloseIdleConnections()
	}
	return d.err
}

// A day goes on until something fails.
type day struct {
	ctx    context.Context
	copy   *target.Copy
	tokens map[*target.Client]string // that pages have shown
	word   string                    // nobody else's, so that what was written is found again
	err    error
}

func (d *day) failed(what string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(what, args...)
	}
}

func (d *day) signIn(who string) *target.Client {
	c := d.copy.Client(target.Inside)
	if d.err == nil {
		if err := c.SignIn(d.ctx, who); err != nil {
			d.failed("signing %s in: %w", who, err)
		}
	}
	return c
}

// ask sends one request, and holds the answer to a status.
func (d *day) ask(c *target.Client, method, path string, body any, want int) target.Answer {
	if d.err != nil {
		return target.Answer{}
	}
	a, err := c.Ask(d.ctx, method, path, body)
	if err != nil {
		d.failed("%s %s: %w", method, path, err)
	} else if a.Status != want {
		d.failed("%s %s is answered %d %s, want %d", method, path, a.Status, a.By, want)
	}
	return a
}

// see looks at a page, and for a text on it.
func (d *day) see(c *target.Client, path, text string) string {
	a := d.ask(c, http.MethodGet, path, nil, http.StatusOK)
	if d.err == nil && !strings.Contains(html.UnescapeString(a.Body), text) {
		d.failed("GET %s does not show %q", path, text)
	}
	return a.Body
}

// do sends a form, and follows it to what it leads to.
func (d *day) do(c *target.Client, path string, form url.Values) string {
	form.Set("_token", d.token(c))
	a := d.ask(c, http.MethodPost, path, form, http.StatusSeeOther)
	return a.Header.Get("Location")
}

// listed looks for one thing in a list for programs, by what one of its fields begins with, and gives its id.
func (d *day) listed(c *target.Client, path, list, field, begins string) string {
	a := d.ask(c, http.MethodGet, path, nil, http.StatusOK)
	if d.err != nil {
		return ""
	}
	var all map[string]any
	if err := a.JSON(&all); err != nil {
		d.failed("GET %s: %w", path, err)
		return ""
	}
	things, _ := all[list].([]any)
	for _, thing := range things {
		fields, _ := thing.(map[string]any)
		if text, _ := fields[field].(string); strings.HasPrefix(text, begins) {
			id, _ := fields["id"].(string)
			return id
		}
	}
	d.failed("GET %s does not list %q", path, begins)
	return ""
}

// offer lets alice offer something and bob's program find it.
func (d *day) offer(alice, program *target.Client) (product string) {
	what := map[string]any{"name": d.word, "price_cents": 1800, "description": "One day."}
	token := d.token(alice)
	alice.Alter = func(r *http.Request) { r.Header.Set(transport.TokenHeader, token) } // as the script of a page does
	d.ask(alice, http.MethodPost, "/api/v1/products", what, http.StatusCreated)
	alice.Alter = nil
	return d.listed(program, "/api/v1/products", "products", "name", d.word)
}

// talk lets bob write with a picture, look at it, and comment.
func (d *day) talk(bob, program *target.Client) {
	d.ask(bob, http.MethodPost, "/posts", d.posting(d.token(bob)), http.StatusSeeOther)
	d.see(bob, "/", d.word)
	post := d.listed(program, "/api/v1/posts", "posts", "body", d.word)
	page := d.see(bob, "/posts/"+post, d.word)
	if found := pictureShown.FindStringSubmatch(page); found == nil && d.err == nil {
		d.failed("the post does not show its picture")
	} else if d.err == nil {
		d.ask(bob, http.MethodGet, html.UnescapeString(found[1]), nil, http.StatusOK)
	}
	d.do(bob, "/posts/"+post+"/comments", url.Values{"body": {"It starts on the left."}})
	d.see(bob, "/posts/"+post, "It starts on the left.")
}

var (
	pictureShown = regexp.MustCompile(`src="(/files/[^"]+)"`)
	tokenShown   = regexp.MustCompile(`name="_token" value="([^"]*)"`)
)

// token is what the forms of somebody's pages carry.
func (d *day) token(c *target.Client) string {
	if d.tokens[c] == "" {
		if found := tokenShown.FindStringSubmatch(d.see(c, "/", "Acme")); found != nil {
			d.tokens[c] = html.UnescapeString(found[1])
		}
	}
	return d.tokens[c]
}

// posting is the form of a post with a picture, as a browser sends it.
func (d *day) posting(token string) *target.Body {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	fault := func(err error) {
		if err != nil {
			d.failed("writing a form: %w", err)
		}
	}
	fault(form.WriteField("_token", token))
	fault(form.WriteField("body", d.word+" there are new routes."))
	part, err := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="uploads"; filename="wall.png"`}, "Content-Type": {"image/png"}})
	fault(err)
	if err == nil {
		wall := image.NewNRGBA(image.Rect(0, 0, 48, 48))
		wall.Set(24, 24, color.NRGBA{R: 200, A: 255})
		fault(png.Encode(part, wall))
	}
	fault(form.Close())
	return &target.Body{Type: form.FormDataContentType(), Content: body.Bytes()}
}

// buy lets bob buy twice: one order is called off, the other paid for and fulfilled.
func (d *day) buy(alice, bob, program *target.Client, product string) {
	order := url.Values{"product_id": {product}, "quantity": {"2"}, "notes": {"For the bag."}}
	first := d.do(bob, "/orders", order)
	d.see(bob, first, "For the bag.")
	d.do(bob, first+"/cancel", url.Values{})
	d.see(bob, first, "Cancelled")
	second := d.do(bob, "/orders", order)
	d.do(alice, second+"/pay", url.Values{})
	d.do(alice, second+"/fulfill", url.Values{})
	d.see(bob, second, "Fulfilled")
	if id := d.listed(program, "/api/v1/orders", "orders", "product_name", d.word); d.err == nil && !strings.HasSuffix(second, id) {
		d.failed("the program's first order is %q, want that of %q", id, second)
	}
}
