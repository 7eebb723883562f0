package examine

import (
	"errors"
	"io"
	"os"
	"slices"

	"github.com/redoubt-dev/redoubt/layer/input/file/document"
	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
	"github.com/redoubt-dev/redoubt/layer/input/file/sandbox"
)

// What follows runs in the worker, beside the file.

// A question is what the worker is told.
type question struct {
	Size      int64
	Ending    string
	Accept    []Kind
	Variants  []picture.Variant // named by their places
	Pictures  picture.Limits
	Documents document.Limits
	Output    int64
}

// An answer is what it says. The renditions' files follow beside it.
type answer struct {
	Kind       Kind
	Refused    string // a name of a vocabulary; empty for a file that is taken
	Renditions []drawn
}

// A drawn is a rendition without its file.
type drawn struct {
	Format                picture.Format
	Width, Height, Frames int
}

// look is the job. The worker that runs it holds nothing else of this program.
var look = sandbox.Register("layer/input/file/examine.look", examined)

func examined(f *os.File, q question, part func([]byte) error) answer {
	head := make([]byte, min(q.Size, document.HeadSize))
	if _, err := f.ReadAt(head, 0); err != nil {
		return answer{Refused: unreadable}
	}
	kind, name := recognised(head, q.Ending)
	switch {
	case name != "":
		return answer{Refused: name}
	case !slices.Contains(q.Accept, kind):
		return answer{Kind: kind, Refused: notAccepted}
	case kind.Image():
		return draw(f, q, kind, part)
	}
	return answer{Kind: kind, Refused: nameOf(document.Check(f, q.Size, document.Kind(kind), q.Documents))}
}

// recognised is the kind as which a file is to be read, or the name of the refusal.
func recognised(head []byte, ending string) (Kind, string) {
	if format, ok := picture.Detect(head); ok {
		return Kind(format), ""
	}
	if kind, ok := document.Detect(head, "."+ending); ok {
		return Kind(kind), ""
	}
	if r := picture.Foreign(head); r != nil {
		return "", r.Name
	}
	if r := document.Foreign(head); r != nil {
		return "", r.Name
	}
	if kind := document.Kind(ending); kind == document.TXT || kind == document.CSV {
		return Kind(kind), "" // so that it is said what keeps it from being a text
	}
	return "", unknown
}

// draw renders a picture and sends what came out.
func draw(f *os.File, q question, kind Kind, part func([]byte) error) answer {
	data := make([]byte, q.Size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, q.Size), data); err != nil {
		return answer{Refused: unreadable}
	}
	renditions, err := picture.Render(data, q.Pictures, q.Variants)
	if err != nil {
		return answer{Kind: kind, Refused: nameOf(err)}
	}
	a, total := answer{Kind: kind}, int64(0)
	for _, r := range renditions {
		total += int64(len(r.Data)) + besides
		a.Renditions = append(a.Renditions, drawn{r.Format, r.Width, r.Height, r.Frames})
	}
	if total+besides > q.Output {
		return answer{Kind: kind, Refused: tooMuch}
	}
	for _, r := range renditions {
		if part(r.Data) != nil {
			return answer{Refused: unreadable} // nobody listens any more
		}
	}
	return a
}

// besides is what frames and answers take of the output besides files.
const besides = 1 << 10

// nameOf is the name of a refusal by picture or document; empty for none.
func nameOf(err error) string {
	var p *picture.Refused
	var d *document.Refused
	switch {
	case err == nil:
		return ""
	case errors.As(err, &p):
		return p.Name
	case errors.As(err, &d):
		return d.Name
	}
	return unreadable
}
