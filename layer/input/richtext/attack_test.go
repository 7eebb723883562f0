package richtext_test

import (
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/richtext"
)

// attacks are the known ways around cleaners of HTML. What is left of each is the same by either engine, or stands in byRender.
var attacks = []struct{ name, html, want, byRender string }{
	{"a script", `a<script>alert(1)</script>b`, `ab`, ""},
	{"a script in capitals and with a slash", `a<SCRIPT/SRC=//evil.example>alert(1)</SCRIPT/>b`, `ab`, ""},
	{"a script within a script's name", `<scr<script>ipt>alert(1)</scr</script>ipt>`, `ipt&gt;alert(1)ipt&gt;`, ""},
	{"a handler", `<p onclick="alert(1)" OnMouseOver=alert(1)>a</p>`, `<p>a</p>`, ""},
	{"a handler behind a slash", `<p/onclick=alert(1)>a</p>`, `<p>a</p>`, ""},
	{"a handler behind a quote that never ends", `<p title="a onclick=alert(1)>b`, ``, ""},
	{"a handler on an element of the list that loads", `<img src=/files/a onerror=alert(1)>`, `<img src="/files/a" alt="">`, ""},
	{"a link to javascript", `<a href="javascript:alert(1)">a</a>`, `a`, ""},
	{"a link to javascript in mixed case", `<a href="JaVaScRiPt:alert(1)">a</a>`, `a`, ""},
	{"a link to javascript with a tab and a newline within", "<a href=\"jav\tascr\nipt:alert(1)\">a</a>", `a`, ""},
	{"a link to javascript with entities within", `<a href="jav&#x09;ascript&colon;alert(1)">a</a>`, `a`, ""},
	{"a link to javascript with entities that never end", `<a href="&#106avascript&#58alert(1)">a</a>`, `a`, ""},
	{"a link to javascript behind a control character", "<a href=\"\x01javascript:alert(1)\">a</a>", `a`, ""},
	{"a link to javascript behind an entity of one", `<a href="&#14;javascript:alert(1)">a</a>`, `a`, ""},
	{"a link to javascript with NUL within", "<a href=\"java\x00script:alert(1)\">a</a>", `a`, ""},
	{"a link to javascript by letters that fold to it", "<a href=\"java\u017fcript:alert(1)\">a</a><a href=\"java\uff53cript:alert(1)\">b</a>", `ab`, ""},
	{"a link to data", `<a href="data:text/html,<script>alert(1)</script>">a</a>`, `a`, ""},
	{"a link to vbscript", `<a href="vbscript:msgbox(1)">a</a>`, `a`, ""},
	{"a link to a file, a blob and a feed", `<a href="file:///etc/passwd">a</a><a href="blob:https://a/b">b</a><a href="feed:javascript:alert(1)">c</a>`, `abc`, ""},
	{"a relative link", `<a href="/sign-out">a</a><a href="?x">b</a><a href="#y">c</a><a href="z">d</a>`, `abcd`, ""},
	{"a link without a scheme", `<a href="//evil.example">a</a><a href="\\evil.example">b</a><a href="/\evil.example">c</a>`, `abc`, ""},
	{"a link that a browser completes", `<a href="https:evil.example">a</a><a href="https:/evil.example">b</a><a href="https:\\evil.example">c</a><a href="https:///evil.example">d</a>`, `abcd`, ""},
	{"a link that seems to lead elsewhere", `<a href="https://bank.example@evil.example/">a</a><a href="https://bank.example%2f@evil.example">b</a>`, `ab`, ""},
	{"a link to a host with an escaped slash", `<a href="https://bank.example%2f.evil.example/">a</a>`, `a`, ""},
	{"a link that opens our window", `<a href="https://a.example" target="_top" rel="opener">a</a>`, link("https://a.example", "a"), ""},
	{"a link that says where it leads backwards", `<a href="https://a.example">` + "\u202emoc.knab\u202c" + `</a>`, link("https://a.example", "moc.knab"), ""},
	{"a link that tells when it is clicked", `<a href="https://a.example" ping="https://evil.example" download referrerpolicy="unsafe-url">a</a>`, link("https://a.example", "a"), ""},
	{"a link in a link", `<a href="https://a.example"><table><tr><td><a href="https://b.example">b</a></td></tr></table></a>`, link("https://a.example", "") + link("https://b.example", "b"), link("https://a.example", "b")},
	{"a link with two addresses", `<a href="javascript:alert(1)" href="https://a.example">a</a>`, `a`, ""},
	{"an image from elsewhere", `<img src="https://evil.example/beacon.gif" alt="a">`, ``, ""},
	{"an image from another route of ours", `<img src="/sign-out"><img src="/files/../sign-out"><img src="/files/a/../../b"><img src="/files/%2e%2e">`, ``, ""},
	{"an image without a scheme", `<img src="//evil.example/files/a"><img src="/files//evil.example/a">`, ``, ""},
	{"an image with a query", `<img src="/files/a?x=/files/b"><img src="/files/a#b">`, ``, ""},
	{"an image with other sources", `<img src="/files/a" srcset="https://evil.example 2x" lowsrc=x dynsrc=y style=background:url(//evil.example)>`, `<img src="/files/a" alt="">`, ""},
	{"an image that fills the page", `<img src="/files/a" width=9999 height=9999 style="position:fixed;inset:0">`, `<img src="/files/a" alt="">`, ""},
	{"an image whose description ends it", `<img src="/files/a" alt='"><script>alert(1)</script>'>`, `<img src="/files/a" alt="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">`, ""},
	{"a style", `<style>@import "//evil.example";</style><p style="position:fixed" class="button" id="main" name="x" data-form="sign-out">a</p>`, `<p>a</p>`, ""},
	{"names that hide the page's own objects", `<p id="cookie" name="getElementById">a</p><img name="body" src="/files/a"><form name="location"></form>`, `<p>a</p><img src="/files/a" alt="">`, ""},
	{"a base", `<base href="https://evil.example/">a`, `a`, ""},
	{"a page that leads away", `<meta http-equiv="refresh" content="0;url=https://evil.example">a`, `a`, ""},
	{"a link element", `<link rel="stylesheet" href="//evil.example"><link rel="dns-prefetch" href="//evil.example">a`, `a`, ""},
	{"a frame", `<iframe src="javascript:alert(1)">b</iframe><iframe srcdoc="<script>alert(1)</script>"></iframe>a`, `a`, ""},
	{"a frame set", `<frameset onload=alert(1)><frame src="//evil.example"></frameset>a`, `a`, ""},
	{"an object, an embed and an applet", `<object data="x.swf">b</object><embed src="x.swf">a<applet code=x></applet>`, `a`, ""},
	{"a form", `<form action="https://evil.example"><input name=password autofocus onfocus=alert(1)><button formaction="javascript:alert(1)">a</button></form>`, `a`, ""},
	{"a form in a form", `<form><p><form></p></form><form action="//evil.example">a`, `a`, ""},
	{"media", `<video src="//evil.example" onerror=alert(1)>a</video><audio src=x></audio><source onerror=alert(1)><track src="//evil.example">`, `a`, ""},
	{"a dialog, a popover and details", `<dialog open>a</dialog><p popover>b</p><details open ontoggle=alert(1)>c</details>`, `a<p>b</p>c`, ""},
	{"a comment that ends early", `a<!--><script>alert(1)</script>-->b`, `a--&gt;b`, ""},
	{"a comment that ends with a bang", `a<!-- --!><script>alert(1)</script> -->b`, `a --&gt;b`, ""},
	{"a comment of a browser that is gone", `a<!--[if IE]><script>alert(1)</script><![endif]-->b`, `ab`, ""},
	{"a comment that never ends", `a<!-- <b>`, `a`, ""},
	{"a CDATA section", `a<![CDATA[><script>alert(1)</script>]]>b`, `a]]&gt;b`, ""},
	{"a processing instruction and a doctype", `a<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y "z">]>b`, `a]&gt;b`, ""},
	{"markup within noscript, which a parser without scripting reads", `<noscript><p title="</noscript><img src=x onerror=alert(1)>">a</noscript>b`, `&#34;&gt;ab`, ""},
	{"markup within style in foreign content", `<svg><style><img src=x onerror=alert(1)></style></svg>a`, `a`, ""},
	{"markup within style in mathematics", `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`, ``, ""},
	{"markup that moves out of mathematics", `<math><annotation-xml encoding="text/html"><p><style><a title="</style><img src=x onerror=alert(1)>">b`, ``, ""},
	{"markup that moves out of a foreign object", `<svg><foreignObject><p>a</p><desc><title><img src=x onerror=alert(1)></title></desc></foreignObject></svg>b`, `b`, ""},
	{"a link in a drawing", `<svg><a xlink:href="javascript:alert(1)"><text y=20>a</text></a><use href="data:image/svg+xml,x#y"/><animate attributeName=href values=javascript:alert(1) /></svg>b`, `b`, ""},
	{"a drawing's namespaced link without a drawing", `<a xlink:href="javascript:alert(1)" xml:base="x">a</a>`, `a`, ""},
	{"markup within a title", `<title><a title="</title><img src=x onerror=alert(1)>">b`, `&#34;&gt;b`, ""},
	{"markup within a textarea", `<textarea><a title="</textarea><img src=x onerror=alert(1)>">b`, `&#34;&gt;b`, ""},
	{"markup within xmp", `<xmp><p title="</xmp><svg/onload=alert(1)>">b`, ``, ""},
	{"plain text without end", `a<plaintext><script>alert(1)</script>`, `a`, ""},
	{"a template", `<template><img src=x onerror=alert(1)></template>a`, `a`, ""},
	{"a shadow tree", `<div><template shadowrootmode="open"><style>*{position:fixed}</style></template></div>a`, `a`, ""},
	{"a selection", `<select><option><style></option></select><img src=x onerror=alert(1)></style></select>a`, `a`, ""},
	{"a table that sends its content before itself", `<table><a href="javascript:alert(1)">a</a><tr><td>b`, `ab`, ""},
	{"a custom element and one with a colon", `<x-y onfocus=alert(1) tabindex=1>a</x-y><o:p>b</o:p>`, `ab`, ""},
	{"a name with letters that fold to ASCII", "<\u017fcript>alert(1)</\u017fcript><lin\u212a rel=import>", "&lt;\u017fcript&gt;alert(1)", ""},
	{"a tag with NUL in its name", "<scr\x00ipt>alert(1)</scr\x00ipt>a", `a`, ""},
	{"a tag that is not closed", `a<img src="/files/b" onerror="alert(1)"`, `a`, ""},
	{"a tag of a space", `a< script>b</ script>c`, `a&lt; script&gt;bc`, ""},
	{"an attribute with a backtick", "<img src=`/files/x` alt=``onerror=alert(1)>", ``, ""},
	{"markup that is escaped twice", `&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt;`, `&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt;`, ""},
	{"markup that is escaped once", `&lt;script&gt;alert(1)&lt;/script&gt;`, `&lt;script&gt;alert(1)&lt;/script&gt;`, ""},
	{"UTF-7 and overlong bytes", "+ADw-script+AD4-alert(1)\xc0\xbcscript\xc0\xbe", "+ADw-script+AD4-alert(1)\ufffd\ufffdscript\ufffd\ufffd", ""},
	{"an end of what the page began", `</div></li></ul></article></main></body></html>a`, `a`, ""},
	{"an item that ends the page's own", `<li>a</li><li>b`, `ab`, ""},
	{"a cell that ends the page's own", `</td><td>a</tr><tr><td>b`, `ab`, ""},
	{"formatting that goes on after the text", `<strong><em>a`, `<strong><em>a</em></strong>`, ""},
	{"a list that swallows the page", `<ul><li><blockquote>a`, `<ul><li><blockquote>a</blockquote></li></ul>`, ""},
	{"a heading of the page", `<h1>Signed out</h1><h2>Sign in</h2>`, `Signed outSign in`, ""},
	{"text that turns the line around", "a\u202eb\u2066c\u2069&#x202d;d&#8294;e", `abcde`, ""},
	{"a paragraph in a paragraph by way of a button", `<p>a<button><p>b</p></button></p>`, `<p>a</p><p>b</p>`, `<p>ab</p>`},
}

func link(address, text string) string {
	return `<a href="` + address + `" target="_blank" rel="noopener noreferrer">` + text + `</a>`
}

func TestNoAttackSurvivesEitherEngine(t *testing.T) { // SYSTEM N3
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			if got := cleaned(t, a.html); got != a.want {
				t.Errorf("clean\ngot  %q\nwant %q", got, a.want)
			}
			want := a.byRender
			if want == "" {
				want = a.want
			}
			if got := rendered(t, a.html); got != want {
				t.Errorf("render\ngot  %q\nwant %q", got, want)
			}
			holds(t, a.html)
			typed(t, a.html)
		})
	}
}

// The oracle sees what is wrong where neither engine has been: else the tests above would say nothing.
func TestTheOracleSeesAttacks(t *testing.T) {
	for _, c := range []struct{ html, want string }{
		{`<script>x</script>`, "is written: <script>"}, {`<p onclick="x">a</p>`, "has another form"}, {`<a href="javascript:x" target="_blank" rel="noopener noreferrer">a</a>`, "has another form"},
		{`<a href="https://a.example">a</a>`, "has another form"}, {`<img src="https://a.example/b" alt="">`, "has another form"}, {`a</p>`, "ends what did not begin"}, {`<em>a`, "never ends"},
		{`<li>a</li>`, "the page around it becomes"}, {`a<!--`, "is written: <!--"}, {"a\u202eb", "has"}, {`<p id="x">a</p>`, "has another form"}, {`<img src="/files/a" alt=""`, "has another form"},
	} {
		if got := strings.Join(faults(c.html), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.html, got, c.want)
		}
	}
	for _, fine := range []string{"", "a", cleaned(t, seeds[2]), cleaned(t, seeds[3])} {
		if got := faults(fine); got != nil {
			t.Errorf("%q: got %q", fine, got)
		}
	}
}

// What people type as Markdown to get around it.
func TestNoMarkdownBecomesAnAttack(t *testing.T) { // SYSTEM N3
	for _, c := range []struct{ name, source, want string }{
		{"HTML is text", "<script>alert(1)</script> <b>a</b>", "<p>&lt;script&gt;alert(1)&lt;/script&gt; &lt;b&gt;a&lt;/b&gt;</p>\n"},
		{"a link to javascript", "[a](javascript:alert(1))", "<p>a</p>\n"},
		{"a link to javascript in angle brackets", "[a](<java\tscript:alert(1)>)", "<p>a</p>\n"},
		{"a link to javascript by entities", "[a](&#106;avascript&colon;alert(1))", "<p>a</p>\n"},
		{"a reference to javascript", "[a]\n\n[a]: javascript:alert(1)", "<p>a</p>\n"},
		{"an address of javascript", "<javascript:alert(1)>", "<p>javascript:alert(1)</p>\n"},
		{"a link to data", "[a](data:text/html;base64,PHNjcmlwdD4=)", "<p>a</p>\n"},
		{"a relative link", "[a](/sign-out) [b](//evil.example)", "<p>a b</p>\n"},
		{"a link whose address ends the attribute", `[a](https://b.example/"onclick="x)`, "<p>" + link("https://b.example/%22onclick=%22x", "a") + "</p>\n"},
		{"a link with a title", `[a](https://b.example "c\"onclick=x")`, "<p>" + link("https://b.example", "a") + "</p>\n"},
		{"an image from elsewhere is a link", "![a](https://evil.example/b.png)", "<p>" + link("https://evil.example/b.png", "a") + "</p>\n"},
		{"an image from elsewhere without a description", "![](https://evil.example/b.png)", "<p>" + link("https://evil.example/b.png", "https://evil.example/b.png") + "</p>\n"},
		{"an image without a scheme", "![a](//evil.example/b.png)", "<p>a</p>\n"},
		{"an image that is no image of ours", "![a](/files/../sign-out)", "\n"},
		{"an image of ours", "![a *b*](/files/c.png \"d\")", "<p><img src=\"/files/c.png\" alt=\"a b\"></p>\n"},
		{"an image of elsewhere in a link", "[![a](https://evil.example/b)](https://c.example)", "<p>" + link("https://c.example", "a") + "</p>\n"},
		{"a language of code", "```a\" onclick=\"x\nb\n```", "<pre><code>b\n</code></pre>\n"},
		{"attributes of a heading", "# a {#main .button onclick=x}", "<h3>a {#main .button onclick=x}</h3>\n"},
		{"headings of the page", "# a\n\n## b\n\n###### c", "<h3>a</h3>\n<h4>b</h4>\n<h6>c</h6>\n"},
		{"text that turns the line around, as an entity", "a&#x202e;b &#8294;c", "<p>ab c</p>\n"},
		{"an address without a scheme", "www.a.example", "<p>" + link("https://www.a.example", "www.a.example") + "</p>\n"},
		{"a table is text", "| a | b |\n|---|---|\n| c | d |", "<p>| a | b |<br>\n|---|---|<br>\n| c | d |</p>\n"},
		{"a list that begins elsewhere", "3. a", "<ol start=\"3\">\n<li>a</li>\n</ol>\n"},
		{"a list that begins too far away", "1234567890. a", "<p>1234567890. a</p>\n"},
	} {
		d, err := richtext.FromMarkdown("", c.source)
		if err != nil || d.HTML != c.want {
			t.Errorf("%s:\ngot  %q, %v\nwant %q", c.name, d.HTML, err, c.want)
		}
		typed(t, c.source)
	}
}
