package rawhtml

import (
	"html/template"
	"net/http"
	"os"
	text "text/template"
)

type markup = template.HTML

const rule = "<hr>"

type post struct {
	Body  template.HTML `json:"body"` // want `template\.HTML: whoever fills this field writes HTML`
	Title string        `json:"title"`
	Shown template.HTML
}

func read[T any]() (t T) { return t }

func convert(in string, safe template.HTML) []any {
	return []any{
		template.HTML(rule + "<br>"),
		template.HTML(safe),
		template.HTMLEscapeString(in),
		template.HTML(in),                  // want `template\.HTML: what is converted is not constant`
		template.HTML("<b>" + in + "</b>"), // want `template\.HTML: what is converted is not constant`
		markup(in),                         // want `template\.HTML: what is converted is not constant`
		template.JS(in),                    // want `template\.JS: what is converted`
		template.JSStr(in),                 // want `template\.JSStr: what is converted`
		template.CSS(in),                   // want `template\.CSS: what is converted`
		template.URL(in),                   // want `template\.URL: what is converted`
		template.HTMLAttr(in),              // want `template\.HTMLAttr: what is converted`
		template.Srcset(in),                // want `template\.Srcset: what is converted`
		template.URL(safe),                 // want `template\.URL: what is converted`
		read[template.HTML](),              // want `template\.HTML: what comes out of read is believed`
		read[string](),
	}
}

func render(w http.ResponseWriter, t *text.Template, h *template.Template) {
	t.Execute(w, nil)             // want `text/template: it escapes nothing`
	t.ExecuteTemplate(w, "", nil) // want `text/template: it escapes nothing`
	t.Execute(os.Stdout, nil)
	h.Execute(w, nil)
}
