package attachment

import (
	"context"
	"errors"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/richtext"
	"github.com/redoubt-dev/redoubt/layer/input/richtext/render"
)

// Shown makes of what was kept what a page may show: cleaned once more, by other code, and with no pictures but those that are held by
// what the text belongs to. What cannot be read any more is not shown.
func Shown(html string, files []File) render.Markup {
	markup, err := render.HTML(html, render.Policy{Image: func(id string) bool {
		for _, f := range files {
			if string(f.ID) == id && f.Inline {
				return true
			}
		}
		return false
	}})
	if err != nil {
		return render.Markup{}
	}
	return markup
}

// Missing puts the database's refusal of a file that is not there for the writer beside the text, which is shown again then.
func Missing(err error) error {
	var refusal *layer.Refusal
	if errors.As(err, &refusal) && refusal.Reason == layer.NotFound {
		refusal.Fields = []layer.Field{{Name: "body", Detail: "shows or has a file that is not here"}}
	}
	return err
}

type (
	// Draft is a text that somebody is writing.
	Draft struct {
		Text string `json:"text" maxLength:"20000" multiline:"true" doc:"Markdown"`
	}
	// A Preview is what a text would look like, as a tree of which a page makes elements, never as markup.
	Preview struct {
		Nodes []render.Node `json:"nodes"`
	}
)

func (a *Attachments) preview(_ context.Context, _ layer.Principal, in Draft) (Preview, error) {
	text, err := richtext.FromMarkdown("text", in.Text)
	if err != nil {
		return Preview{}, err
	}
	nodes, err := render.Tree(text.HTML, render.Policy{Image: func(string) bool { return true }}) // whether it is there for them, its own route says
	if nodes == nil {
		nodes = []render.Node{}
	}
	return Preview{nodes}, err
}
