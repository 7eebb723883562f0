package web_test

import (
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer/input/richtext"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/render"
)

// files stands in for the application where an editor asks it: it shows pictures, takes files, and makes previews.
func files(t *testing.T, mux *http.ServeMux, site redoubt.Renderer) {
	mux.HandleFunc("GET /files/", draw)
	mux.HandleFunc("POST /api/v1/files", keep)
	mux.HandleFunc("POST /api/v1/preview", preview)
	mux.HandleFunc("POST /posts", func(w http.ResponseWriter, r *http.Request) {
		switch body := r.FormValue("body"); {
		case r.FormValue("_token") != "synchroniser-token":
			http.Error(w, "no token", http.StatusForbidden)
		case strings.Contains(body, "refuse me"):
			w.WriteHeader(http.StatusUnprocessableEntity)
			show(t, w, site, find("feed-file-refused"))
		case strings.Contains(body, "too large"):
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			show(t, w, site, sample{path: "/posts", view: redoubt.View{Page: "problem", Data: redoubt.Problem{Title: "Too large", Detail: "A file is too large.", Status: 413}}})
		default:
			names := ""
			for _, f := range r.MultipartForm.File["uploads"] {
				names += f.Filename + " "
			}
			http.Redirect(w, r, "/show/feed?after=/posts&with="+url.QueryEscape(strings.TrimSpace(names)), http.StatusSeeOther)
		}
	})
}

// draw makes a picture of what stands for each of the samples: a slope of two colours, in the proportions of its sample.
func draw(w http.ResponseWriter, r *http.Request) {
	width, height := 96, 96
	for _, f := range []struct {
		id            string
		width, height int
	}{{joint.ID, 1200, 675}, {wide.ID, 1024, 682}, {tall.ID, 576, 1024}, {tiny.ID, 48, 48}} {
		if strings.Contains(r.URL.Path, f.id) {
			width, height = f.width, f.height
		}
	}
	picture := image.NewPaletted(image.Rect(0, 0, width, height), nil)
	for i := range 64 {
		picture.Palette = append(picture.Palette, color.RGBA{uint8(224 - 3*i), uint8(160 - i), uint8(48 + i), 255})
	}
	for i := range picture.Pix {
		x, y := i%width, i/width
		picture.Pix[i] = uint8(63 * (x + y) / (width + height))
	}
	w.Header().Set("Content-Type", "image/png")
	png.Encode(w, picture)
}

// keep takes a file as the application does: with the token, by its name, and not every one.
func keep(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if strings.Contains(name, "slow") {
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
		return
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	w.Header().Set("Content-Type", "application/json")
	switch {
	case err != nil || n == 0 || r.Header.Get("X-Redoubt-Token") != "synchroniser-token" || r.Header.Get("Content-Type") == "":
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"title":"Not readable","detail":"The body is not."}`)
	case strings.Contains(name, "bad"):
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, `{"title":"Some fields need attention","detail":"This is <b>no</b> picture."}`)
	default:
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]string{"id": tall.ID})
	}
}

// treacherous is what a preview would be that somebody else has written: what the page makes of it has to be harmless all the same.
const treacherous = `{"nodes":[
	{"element":"script","nodes":[{"text":"pwned = true"}]},
	{"element":"SCRIPT","nodes":[{"text":"pwned = true"}]},
	{"element":"iframe","attributes":{"src":"/show/feed"}},
	{"element":"constructor"},{"element":"__proto__"},{"element":"svg"},{"element":"base","attributes":{"href":"//evil.example"}},
	{"element":"p","attributes":{"onclick":"pwned = true","style":"position:fixed","id":"main","class":"ask"},"nodes":[{"text":"<img src=x onerror=pwned=true>"}]},
	{"element":"a","attributes":{"href":"javascript:pwned=true","target":"_self"},"nodes":[{"text":"here"}]},
	{"element":"a","attributes":{"href":" https://evil.example"},"nodes":[{"text":"here"}]},
	{"element":"img","attributes":{"src":"https://evil.example/x.png","onerror":"pwned = true","alt":"x"}},
	{"element":"img","attributes":{"src":"//evil.example/x.png"}},
	{"element":"img","attributes":{"src":"/files/../sign-out"}},
	{"element":"ol","attributes":{"start":"1e9"},"nodes":[{"element":"li","nodes":[{"text":"the end"}]}]}]}`

// preview answers as the application does.
func preview(w http.ResponseWriter, r *http.Request) {
	var draft struct{ Text string }
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<17)).Decode(&draft); err != nil || r.Header.Get("X-Redoubt-Token") != "synchroniser-token" {
		http.Error(w, `{"title":"Not readable","detail":"The body is not."}`, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if strings.Contains(draft.Text, "treachery") {
		io.WriteString(w, treacherous)
		return
	}
	text, _ := richtext.FromMarkdown("text", draft.Text)
	nodes, _ := render.Tree(text.HTML, render.Policy{Image: func(name string) bool { return path.Ext(name) == "" }})
	if nodes == nil {
		nodes = []render.Node{}
	}
	json.NewEncoder(w).Encode(map[string]any{"nodes": nodes})
}

// harmless holds for whatever stands in a preview (SYSTEM N3, T2).
const harmless = `!("pwned" in window) && [...document.querySelectorAll("[data-preview] *")].every((e) =>
	/^(P|H[3-6]|BLOCKQUOTE|UL|OL|LI|PRE|HR|A|STRONG|EM|DEL|CODE|IMG|BR)$/.test(e.tagName) &&
	[...e.attributes].every((a) => a.name === "alt" || a.name === "target" && a.value === "_blank" || a.name === "rel" && a.value === "noopener noreferrer" ||
		a.name === "href" && /^(https?:|mailto:)/.test(a.value) || a.name === "src" && /^\/files\/[\w-]+$/.test(a.value)))`

func TestPeopleWriteAndSendFiles(t *testing.T) { take(t, "editor", editorSteps()) }

// editorSteps are what people do with a text and its files.
func editorSteps() []step {
	run := func(script string) chromedp.Action[chromedp.Void] {
		return chromedp.Evaluate[chromedp.Void](`{
			const area = document.querySelector("[data-editor] textarea"), form = area.form, uploads = form.querySelector("[type=file]");
			const files = (...all) => { const d = new DataTransfer(); for (const [name, type, size] of all) d.items.add(new File([new Uint8Array(size || 9)], name, { type })); return d; };
			const choose = (...all) => { uploads.files = files(...all).files; uploads.dispatchEvent(new Event("change", { bubbles: true })); };
			const write = (text) => { area.value = text; area.dispatchEvent(new InputEvent("input", { bubbles: true })); };
			` + script + `}; undefined`)
	}
	click := func(selector string) chromedp.Action[chromedp.Void] {
		return chromedp.Click(chromedp.CSS(selector))
	}
	const area = `document.querySelector("[data-editor] textarea")`
	written := func(want string) string { return area + `.value === ` + quoted(want) }
	type actions = []chromedp.Action[chromedp.Void]
	steps := func(all ...chromedp.Action[chromedp.Void]) chromedp.Action[chromedp.Void] {
		return chromedp.Steps(actions(all)...)
	}
	return []step{
		{name: "without script there is a text, a file field, and no toolbar that does nothing", page: "feed", plain: true, do: steps(),
			after: `document.querySelector("[data-toolbar]").checkVisibility() === false && document.querySelector("#f-uploads").checkVisibility()`},
		{name: "without script a post goes with its files", page: "feed", plain: true, do: steps(run(`area.value = "x"; uploads.files = files(["plan.pdf", "application/pdf"]).files;`), click(".composer-post .button-primary")),
			after: `location.search === "?after=/posts&with=plan.pdf"`},
		{name: "help with formatting without script", page: "post-edit", plain: true, do: steps(run0(`document.querySelector("[popovertarget=formatting]").scrollIntoView({ block: "center" })`), click("[popovertarget=formatting]")), after: `document.querySelector("#formatting").matches(":popover-open")`},
		{name: "bold around what is selected", page: "feed", do: steps(run(`write("one two"); area.focus(); area.setSelectionRange(4, 7);`), click("[data-act=bold]")),
			after: written("one **two**") + ` && ` + area + `.selectionStart === 6 && document.activeElement === ` + area},
		{name: "bold twice is as before", page: "feed", do: steps(run(`write("one two"); area.focus(); area.setSelectionRange(4, 7);`), click("[data-act=bold]"), click("[data-act=bold]")), after: written("one two")},
		{name: "what a button does can be undone", page: "feed", do: steps(run(`area.focus(); document.execCommand("insertText", false, "one"); area.select();`), click("[data-act=italic]"), run(`document.execCommand("undo")`)), after: written("one")},
		{name: "a link by keyboard", page: "feed", do: steps(run(`write("the gauge"); area.focus(); area.setSelectionRange(4, 9);`), chromedp.KeyEvent("k", chromedp.KeyModifiers(kb.ModifierCtrl))), after: written("the [gauge](https://)")},
		{name: "lines become a list", page: "feed", do: steps(run(`write("a\nb"); area.focus(); area.select();`), click("[data-act=list]")), after: written("- a\n- b")},
		{name: "a list becomes lines", page: "feed", do: steps(run(`write("x\n- a\n- b\ny"); area.focus(); area.setSelectionRange(3, 8);`), click("[data-act=list]")), after: written("x\na\nb\ny")},
		{name: "the arrows go through the toolbar, which is one stop", page: "feed", do: steps(run(`document.querySelector("[data-act=bold]").focus();`), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowLeft)),
			after: `document.activeElement.dataset.act === "italic" && document.querySelectorAll("[data-toolbar] [tabindex='0']").length === 1`},
		{name: "a preview shows what a text will look like", page: "post-edit", do: steps(run(`write("# Hello\n\nthere, *you* and [they](https://x.example)");`), click("[data-act=preview]")),
			after: `document.querySelector("[data-preview] h3")?.textContent === "Hello" && document.querySelector("[data-preview] em") && document.querySelector("[data-preview] a").target === "_blank" && ` + harmless},
		{name: "a preview follows the text", page: "feed", do: steps(run(`write("one");`), click("[data-act=preview]"), run(`write("**two**");`)), after: `document.querySelector("[data-preview] strong")?.textContent === "two"`},
		{name: "a preview of hostile words runs nothing", page: "feed", do: steps(run(`write("<script>pwned=true</script> <img src=x onerror=pwned=true> [x](javascript:pwned=true) the end");`), click("[data-act=preview]")),
			after: `document.querySelector("[data-preview]").textContent.includes("the end") && ` + harmless},
		{name: "a preview that somebody else wrote runs nothing and loads nothing", page: "feed", do: steps(run(`write("treachery");`), click("[data-act=preview]")),
			after: `document.querySelector("[data-preview]").textContent.includes("the end") && document.querySelector("[data-preview]").textContent.includes("onerror=pwned=true>") && ` + harmless},
		{name: "back to writing", page: "feed", do: steps(click("[data-act=preview]"), click("[data-act=write]")), after: `!document.querySelector("[data-preview]").checkVisibility() && ` + area + `.checkVisibility()`},
		{name: "a picture that is pasted stands in the text", page: "feed", do: run(`write("See: "); area.focus(); area.setSelectionRange(5, 5);
			area.dispatchEvent(new ClipboardEvent("paste", { clipboardData: files(["my [new] vice.webp", "image/webp"]), bubbles: true, cancelable: true }));`),
			after: written("See: ![my  new  vice](/files/" + tall.ID + ")\n")},
		{name: "a document that is dropped hangs below", page: "feed", do: run(`area.dispatchEvent(new DragEvent("drop", { dataTransfer: files(["plan.pdf", "application/pdf"]), bubbles: true, cancelable: true }));`),
			after: `document.querySelector("[name=files]").checked && document.querySelector(".kept").textContent === "plan.pdf" && document.querySelector("#f-files").checkVisibility()`},
		{name: "a file that is refused says why, as text", page: "feed", do: run(`area.dispatchEvent(new DragEvent("drop", { dataTransfer: files(["bad.png", "image/png"]), bubbles: true, cancelable: true }));`),
			after: `document.querySelector(".sending-failed[role=alert]")?.textContent.includes("bad.png: This is <b>no</b> picture.") && !document.querySelector(".composer-post .button-primary").disabled`},
		{name: "sending can be called off", page: "feed", do: steps(run(`area.dispatchEvent(new DragEvent("drop", { dataTransfer: files(["slow.png", "image/png"]), bubbles: true, cancelable: true }));`), chromedp.WaitVisible(chromedp.CSS(".sending progress")), click(".sending button")),
			after: `!document.querySelector(".sending-line") && !document.querySelector(".composer-post .button-primary").disabled && ` + area + `.value === ""`},
		{name: "too large is said before it is sent", page: "feed", do: run(`write("x"); choose(["film.zip", "application/zip", 26214401]); form.requestSubmit();`),
			after: `document.querySelector("#f-uploads").validationMessage.includes("larger than 25 MB") && location.search === ""`},
		{name: "too many is said before it is sent", page: "feed", do: run(`write("x"); choose(...Array(5).fill(["a.txt", "text/plain"]));`), after: `document.querySelector("#f-uploads").validationMessage.includes("At most 4")`},
		{name: "a form with files is sent, and leads on", page: "feed", do: run(`write("x"); choose(["a.txt", "text/plain"], ["b.csv", "text/csv"]); form.requestSubmit();`),
			after: `location.search === "?after=/posts&with=a.txt+b.csv" && document.querySelector(".notice").textContent.includes("Your post is published.")`},
		{name: "a form that is refused keeps text and files, and says what is wrong beside the field", page: "feed-empty", do: run(`write("refuse me"); choose(["a.txt", "text/plain"]); form.requestSubmit();`),
			after: `document.activeElement.matches("[data-faults]") && document.querySelectorAll("[data-faults]").length === 1 && document.querySelector("#f-uploads-error").closest(".field").contains(document.querySelector("#f-uploads")) &&
				document.querySelector("#f-uploads").ariaInvalid === "true" && document.querySelector("#f-uploads").files.length === 1 && ` + written("refuse me")},
		{name: "a form that gets another page back keeps everything, and says why", page: "feed-empty", do: run(`write("too large"); choose(["a.txt", "text/plain"]); form.requestSubmit();`),
			after: `document.querySelector(".sending-failed")?.textContent.includes("A file is too large.") && document.querySelector("#f-uploads").files.length === 1 && ` + written("too large")},
		{name: "a picture of oneself goes with its bar", page: "profile", do: run0(`const input = document.querySelector("#f-picture"), d = new DataTransfer(); d.items.add(new File(["x"], "me.png", { type: "image/png" })); input.files = d.files; input.form.requestSubmit();`),
			after: `location.search.startsWith("?after=/profile/avatar")`},
		{name: "a picture of oneself is removed by a form", page: "profile", plain: true, do: steps(run0(`document.querySelector("[form=picture-delete]").scrollIntoView({ block: "center" })`), click("[form=picture-delete]")), after: `location.search.startsWith("?after=/profile/avatar/delete")`},
		{name: "whoever tabs into what is clamped sees it", page: "feed", do: run0(`document.querySelector("#post-a5 .rich a").focus({ focusVisible: true });`), after: `document.querySelector("#post-a5 .clamp").scrollHeight === document.querySelector("#post-a5 .clamp").clientHeight`},
	}
}

func run0(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](`{` + script + `}; undefined`)
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}
