package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
)

// A page of the edge's own loads nothing: neither the application nor anybody else need be there for it.
type pageFacts struct {
	Title, Detail, ID string
	Calm              bool // nothing is wrong with the request
}

const pageStyle = `:root{color-scheme:light dark;--paper:#faf7f1;--ink:#1f1b16;--soft:#564e44;--faint:#6b6256;--line:#e5ddcf;--accent:#0f766e;--mist:#5fb3a7;--amber:#d97706}
@media(prefers-color-scheme:dark){:root{--paper:#161412;--ink:#f3ede4;--soft:#c4bbae;--faint:#a89e91;--line:#37322c;--accent:#2dd4bf;--mist:#1f9c8f;--amber:#e0a030}}
*{box-sizing:border-box;margin:0}
body{min-height:100vh;display:grid;place-items:center;padding:2rem 1.25rem;background:var(--paper);color:var(--ink);font:1rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans",Arial,sans-serif}
main{width:100%;max-width:34rem}
svg{display:block;width:3rem;height:3rem;margin-bottom:1.75rem}
.a{fill:var(--accent)}.b{fill:var(--mist)}.c{fill:var(--amber)}
h1{font:400 clamp(1.9rem,1.5rem + 2vw,2.6rem)/1.15 "Iowan Old Style","Palatino Linotype",Palatino,"URW Palladio L",Georgia,serif;letter-spacing:-.01em;margin-bottom:.9rem;text-wrap:balance}
p{color:var(--soft);font-size:1.125rem;max-width:46ch;overflow-wrap:anywhere}
footer{margin-top:2.25rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--faint);font-size:.875rem;display:flex;flex-wrap:wrap;gap:.25rem 1rem;justify-content:space-between}
code{font:inherit;font-family:ui-monospace,"SF Mono","Cascadia Mono",Menlo,Consolas,monospace;font-size:.8125rem;overflow-wrap:anywhere}`

// pagePolicy allows that one style and nothing else; the hash is of what stands between the tags.
var pagePolicy = func() string {
	hash := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{.Title}}</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<svg viewBox="0 0 32 32" aria-hidden="true"><path class="a" d="M2 14A12 12 0 0 1 14 2v12z"/><path class="b" d="M18 2a12 12 0 0 1 12 12H18z"/><path class="b" d="M2 18h12v12A12 12 0 0 1 2 18z"/><circle class="c" cx="24" cy="24" r="6"/></svg>
<h1>{{.Title}}</h1>
<p>{{.Detail}}</p>
<footer>{{if .Calm}}<span>Nothing is wrong with what you asked for.</span>{{end}}<span>Request <code>{{.ID}}</code></span></footer>
</main>
</body>
</html>
`))

func page(f pageFacts) []byte {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		pageFacts
		Style template.CSS
	}{f, pageStyle})
	if err != nil {
		panic(err) // a constant template, and strings
	}
	return b.Bytes()
}
