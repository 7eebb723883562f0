package knockout

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
)

// inputUnits are what stands between what people send and what the application keeps, shows and asks (SYSTEM N1-N5).
func inputUnits() []Unit {
	return []Unit{
		{Name: "input/schema", Layer: layer.Input, What: "what is sent is bound strictly: known members, right forms, within bounds, each once",
			Gone:  "it is read as encoding/json and net/url read it",
			Cuts:  schemaCuts,
			Bites: schemaIsOut},
		{Name: "input/clean", Layer: layer.Input, What: "rich text is cleaned when it is saved",
			Gone: "Markdown is saved with whatever HTML was typed into it",
			Cuts: []Cut{{Package: "layer/input/richtext", Func: "FromMarkdown", Body: rawMarkdown,
				Imports: []string{"bytes", "github.com/yuin/goldmark", "github.com/yuin/goldmark/extension", "github.com/yuin/goldmark/renderer/html"}}},
			Bites: cleanIsOut},
		{Name: "input/render", Layer: layer.Input, What: "rich text is cleaned again, by other code, when it is shown",
			Gone:  "a page prints what is stored",
			Cuts:  []Cut{{Package: "layer/input/richtext/render", Func: "HTML", Body: `return Markup{template.HTML(stored)}, nil`}},
			Bites: renderIsOut},
		{Name: "input/escape", Layer: layer.Input, What: "templates escape every text for the place where it stands",
			Gone:  "they print it as it is",
			Cuts:  []Cut{{Package: "commons/web", Func: "Site.Render", Body: unescaped}},
			Bites: escapeIsOut},
		{Name: "input/file", Layer: layer.Input, What: "uploads are examined, and pictures drawn anew, in a process of their own",
			Gone: "they are kept as they came, as what their name says they are",
			Cuts: []Cut{{Package: "layer/input/file/examine", Func: "Examiner.Examine", Body: believing,
				Imports: []string{"io", "mime", "net/http", "strings"}}},
			Bites: fileIsOut},
		{Name: "input/serve", Layer: layer.Input, What: "a file is sent with its exact type, and to be saved unless it is a picture",
			Gone:  "it is sent as its name's ending suggests, to be shown",
			Cuts:  []Cut{{Package: ".", Func: "call.download", Body: shown}},
			Bites: serveIsOut},
		{Name: "input/store", Layer: layer.Input, What: "what keeps files opens an object for its organization alone",
			Gone:  "for whoever knows its name",
			Cuts:  []Cut{{Package: "layer/input/file/store", Func: "Dir.find", Body: anyFolder}},
			Bites: storeIsOut},
		{Name: "input/address", Layer: layer.Input, What: "an address that people give is a public name, on a port of the web, in one spelling",
			Gone: "whatever net/url reads is one",
			Cuts: []Cut{{Package: "layer/input/egress", Func: "parse", Body: anyAddress},
				{Package: "layer/input/egress", Func: "Config.lookup", Body: literals, Imports: []string{"strings"}}},
			Bites: asked("input/address")},
		{Name: "input/egress", Layer: layer.Input, What: "where a name leads is judged before anything is asked there",
			Gone: "every answer of the name service is taken",
			Cuts: []Cut{{Package: "layer/input/egress", Func: "New"},
				{Package: "layer/input/egress", Func: "Client.resolve", Body: anywhere}},
			Bites: asked("input/egress")},
		{Name: "input/dial", Layer: layer.Input, What: "a connection is judged when it is made and once it stands, by other tables",
			Gone: "it is made",
			Cuts: []Cut{{Package: "layer/input/egress", Func: "Config.guardian", Body: careless, Imports: []string{"net/netip"}},
				{Package: "layer/input/egress", Func: "ends", Body: `return nil`}},
			Bites: asked("input/dial")},
	}
}

// ---- input/schema ----

// schemaCuts leave Bind as it is and take out what it refuses: the sizes of bodies and files, which are bounds of another unit's, stay.
var schemaCuts = []Cut{
	{Package: "layer/input", Func: "checker.object", Body: `
	for _, f := range fields {
		if value := n.member(f.name); !value.absent() {
			c.value(f.shape, value, join(at, f.name), dst.FieldByIndex(f.index))
		}
	}
	return`},
	{Package: "layer/input", Func: "checker.value", Body: `
	if n.kind == many && s.kind != list && len(n.members) > 0 {
		n = n.members[0].value
	}`},
	{Package: "layer/input", Func: "checker.list", Body: `
	if n.kind == typed || n.kind == sent {
		n.members = []member{{value: n}}
	}
	dst.Set(reflect.MakeSlice(s.typ, len(n.members), len(n.members)))
	for i, item := range n.members {
		c.value(s.item, item.value, at, dst.Index(i))
	}
	return`},
	{Package: "layer/input", Func: "shape.text", Body: `
	dst.SetString(s.unfold(n.text))
	return ""`},
	{Package: "layer/input", Func: "shape.integer", Body: `
	if value, err := strconv.ParseInt(n.text, 10, 64); err == nil && dst.CanInt() {
		dst.SetInt(value)
	} else if err == nil {
		dst.SetUint(uint64(value))
	}
	return ""`},
	{Package: "layer/input", Func: "shape.number", Body: `
	if value, err := strconv.ParseFloat(n.text, 64); err == nil {
		dst.SetFloat(value)
	}
	return ""`},
	{Package: "layer/input", Func: "readJSON", Imports: []string{"encoding/json"}, Body: `
	var loosely func(v any) node
	loosely = func(v any) node {
		switch v := v.(type) {
		case nil:
			return node{kind: 'n'}
		case string:
			return node{kind: '"', text: v}
		case json.Number:
			return node{kind: '0', text: v.String()}
		case bool:
			if v {
				return node{kind: 't'}
			}
			return node{kind: 'f'}
		case []any:
			all := node{kind: '['}
			for _, item := range v {
				all.members = append(all.members, member{value: loosely(item)})
			}
			return all
		}
		all := node{kind: '{'}
		for name, value := range v.(map[string]any) {
			all.members = append(all.members, member{name, loosely(value)})
		}
		return all
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return node{}, refusal(layer.Malformed, "The body is not JSON.", err)
	}
	return loosely(v), nil`},
	{Package: "layer/input", Func: "Schema.media", Body: `
	if s.mode == ModeJSON {
		return "application/json", nil, nil
	}`},
}

// schemaIsOut sends a member that nobody has declared. The route is of Commons, as are those beneath.
func schemaIsOut(ctx context.Context, at Place) error {
	return taken(at.Send(ctx, "bob's key", http.MethodPost, "/api/v1/posts", "application/json", []byte(`{"body": "a post", "no_such_member": 1}`)))
}

// taken wants a request to have been accepted.
func taken(status int, _ map[string][]string, body string, err error) error {
	switch {
	case err != nil:
		return err
	case status >= 300:
		return stands(fmt.Sprintf("the answer is %d", status))
	}
	return nil
}

// ---- rich text ----

// rawMarkdown lets HTML through, as Markdown does by its own definition. Links and files are found as ever: what is done with them is
// others' business.
const rawMarkdown = `
	var written bytes.Buffer
	raw := goldmark.New(goldmark.WithExtensions(extension.Strikethrough, extension.Linkify), goldmark.WithRendererOptions(html.WithHardWraps(), html.WithUnsafe()))
	if err := raw.Convert([]byte(source), &written); err != nil {
		return Document{}, refused(field, "cannot be read as Markdown", err)
	}
	found, err := clean.HTML(written.String())
	if err != nil {
		return Document{}, err
	}
	return Document{Source: source, HTML: written.String(), Links: found.Links, Images: found.Images}, nil`

const marked = `<p data-drill="x">drilled</p>`

func cleanIsOut(ctx context.Context, at Place) error {
	if err := taken(at.Send(ctx, "bob's key", http.MethodPost, "/api/v1/posts", "application/json", []byte(`{"body": "<p data-drill=\"x\">drilled</p>"}`))); err != nil {
		return err
	}
	var kept bool
	err := at.Admin().QueryRow(ctx, `select exists (select from commons.post where html like '%' || $1 || '%')`, marked).Scan(&kept)
	if err == nil && !kept {
		return stands("what was saved is clean")
	}
	return err
}

// renderIsOut puts a text where a cleaned one should be, behind the application's back, and shows it.
func renderIsOut(ctx context.Context, at Place) error {
	var post string
	err := at.Admin().QueryRow(ctx, `select p.id::text from commons.post p where p.organization_id = $1 order by p.created_at limit 1`, victim).Scan(&post)
	if err != nil {
		return err
	}
	err = behind(ctx, at, `update commons.post set html = $1 where id = $2`, marked, post)
	if err != nil {
		return err
	}
	return shows(ctx, at, "/posts/"+post, marked)
}

// escapeIsOut does the same with a text that was never meant to be more than text.
func escapeIsOut(ctx context.Context, at Place) error {
	var post string
	err := at.Admin().QueryRow(ctx, `select c.post_id::text from commons.comment c where c.organization_id = $1 order by c.created_at, c.id limit 1`, victim).Scan(&post)
	if err != nil {
		return err
	}
	if err := behind(ctx, at, `update commons.comment set body = $1 where post_id = $2`, marked, post); err != nil {
		return err
	}
	return shows(ctx, at, "/posts/"+post, marked)
}

// behind changes rows as the superuser, past policies and triggers.
func behind(ctx context.Context, at Place, sql string, args ...any) error {
	tx, err := at.Admin().Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, `set local session_replication_role = replica`); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sql, args...); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func shows(ctx context.Context, at Place, path, text string) error {
	status, _, body, err := at.Ask(ctx, "bob", http.MethodGet, path, nil)
	if err == nil && (status != http.StatusOK || !strings.Contains(body, text)) {
		return stands(fmt.Sprintf("the page, with status %d, does not show what is stored", status))
	}
	return err
}

// unescaped puts functions that do nothing in place of those that html/template has written into the pages when it first met them.
const unescaped = `
	if t := s.templates[v.Page]; t != nil {
		asItIs := func(all ...any) string { return fmt.Sprint(all...) }
		none := template.FuncMap{}
		for _, name := range []string{"attrescaper", "htmlescaper", "htmlnamefilter", "nospaceescaper", "rcdataescaper", "srcsetescaper", "urlescaper", "urlfilter", "urlnormalizer"} {
			none["_html_template_"+name] = asItIs
		}
		t.Funcs(none)
	}`

// ---- files ----

// believing keeps a file as it came. It is what the ending of its name says, or, without one, what its first bytes look like. What is
// called a picture is one, in every size that was wanted.
const believing = `
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), data); err != nil {
		return Report{}, err
	}
	extension := "." + ending(job.Name)
	if extension == "." {
		extension = map[string]string{"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp"}[http.DetectContentType(data)]
	}
	if len(extension) < 3 || len(extension) > 9 {
		extension = ".bin"
	}
	media := mime.TypeByExtension(extension)
	if media == "" {
		media = "application/octet-stream"
	}
	report := Report{Kind: Kind(extension[1:]), MediaType: media, Extension: extension}
	if !strings.HasPrefix(media, "image/") {
		return report, nil
	}
	for _, v := range job.Variants {
		report.Renditions = append(report.Renditions, Rendition{Variant: v.Name, MediaType: media, Extension: extension, Width: v.Width, Height: v.Height, Frames: 1, Data: data})
		report.Width, report.Height = max(report.Width, v.Width), max(report.Height, v.Height)
	}
	return report, nil`

// fileIsOut sends as a picture what is none that would be taken.
func fileIsOut(ctx context.Context, at Place) error {
	return taken(at.Send(ctx, "bob's key", http.MethodPost, "/api/v1/files?name=drill.svg", "image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)))
}

// shown lets the standard library say what a file is, by what it is called.
const shown = `
	defer out.Close()
	c.w.Header().Set("Cache-Control", transport.Kept)
	c.w.Header().Set("ETag", "\""+out.Tag+"\"")
	http.ServeContent(c.w, c.r, out.Name, time.Time{}, out)
	return nil`

// serveIsOut asks for any file that bob sees.
func serveIsOut(ctx context.Context, at Place) error {
	var id string
	err := at.Admin().QueryRow(ctx, `select f.file_id::text from commons.post_file f where f.organization_id = $1 limit 1`, victim).Scan(&id)
	if err != nil {
		return err
	}
	status, header, _, err := at.Ask(ctx, "bob", http.MethodGet, "/files/"+id, nil)
	if err == nil && (status != http.StatusOK || len(header["Content-Disposition"]) > 0) {
		return stands(fmt.Sprintf("the answer, with status %d, says what becomes of the file", status))
	}
	return err
}

// anyFolder looks for the name in the folders of all organizations.
const anyFolder = `
	if all, err := fs.ReadDir(d.root.FS(), "."); err == nil {
		for _, e := range all {
			if _, err := d.root.Stat(e.Name() + "/" + spread + "/" + name); err == nil {
				organization = e.Name()
			}
		}
	}`

// storeIsOut opens a file of bob's organization: that another's would be found too cannot be seen while the database does not name it.
func storeIsOut(ctx context.Context, at Place) error {
	var id string
	err := at.Admin().QueryRow(ctx, `select f.file_id::text from commons.post_file f where f.organization_id = $1 limit 1`, victim).Scan(&id)
	if err != nil {
		return err
	}
	return missedAt(ctx, at, "input/store", "/api/v1/files/"+id)
}

// ---- outbound ----

const anyAddress = `
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return target{}, Unreadable
	}
	t := target{scheme: u.Scheme, host: u.Hostname(), port: 443, uri: uriOf(u)}
	if strings.Contains(t.host, ":") {
		t.host = "[" + t.host + "]"
	}
	if u.Scheme == "http" {
		t.port = 80
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		t.port = uint16(port)
	}
	return t, nil`

// literals are names that name themselves.
const literals = `
	if literal, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []netip.Addr{literal.Unmap()}, nil
	}`

// anywhere asks as ever, and does not look at the answer.
const anywhere = `
	ctx, cancel := context.WithTimeout(ctx, c.times.lookup)
	defer cancel()
	addrs, err := c.lookup(ctx, host)
	if err != nil || len(addrs) == 0 {
		return nil, Unresolved
	}
	return addrs, nil`

// careless is a guard that has no objections.
const careless = `
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAnyNetwork(), ssrf.WithAllowedV4Prefixes(netip.MustParsePrefix("0.0.0.0/0")), ssrf.WithAllowedV6Prefixes(netip.MustParsePrefix("::/0")))`

// asked gives the copy an address of this machine, and wants the unit to have been missed on the way or at the start. Nothing else can be
// seen from outside: there are three judgements, each refuses the address by itself, and a name that passes the first would have to be
// asked of somebody else's name service.
func asked(unit string) func(context.Context, Place) error {
	return func(ctx context.Context, at Place) error {
		if err := taken(at.Send(ctx, "bob's key", http.MethodPost, "/api/v1/posts", "application/json", []byte(`{"body": "[here](https://127.0.0.1:1/)"}`))); err != nil {
			return err
		}
		if !slices.Contains(at.Missed(), unit) {
			return stands("nobody has missed it")
		}
		return nil
	}
}
