package examine

import "github.com/redoubt-dev/redoubt/layer/input/file/picture"

// A Said is what a worker might say.
type Said struct {
	Kind          Kind
	Refused       string
	Format        picture.Format // of each of Files
	Width, Height int
	Frames        int
	Renditions    int // how many it says there are
	Files         [][]byte
}

// Believe is what comes of it.
func (j Job) Believe(s Said) (Report, error) {
	a := answer{Kind: s.Kind, Refused: s.Refused}
	for range s.Renditions {
		a.Renditions = append(a.Renditions, drawn{s.Format, s.Width, s.Height, s.Frames})
	}
	return j.believe(a, s.Files)
}

// Ending is what a name ends in.
func Ending(name string) string { return ending(name) }
