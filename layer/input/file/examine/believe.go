package examine

import (
	"slices"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

// believe makes a Report of an answer, or a refusal. Whoever has taken a worker over writes the answer, so it is held against what
// was asked: a lie that passes is a picture, of the size that was asked for, with pixels of theirs.
func (j Job) believe(a answer, files [][]byte) (Report, error) {
	switch {
	case a.Refused != "":
		return Report{}, j.refusedByAnswer(a.Kind, a.Refused)
	case !slices.Contains(j.Accept, a.Kind), len(files) != len(a.Renditions), a.Kind.Image() != (len(files) > 0):
		return Report{}, liar()
	case !a.Kind.Image():
		return Report{Kind: a.Kind, MediaType: a.Kind.mediaType(), Extension: a.Kind.extension()}, nil
	case len(files) != len(j.Variants):
		return Report{}, liar()
	}
	report := Report{Kind: a.Kind}
	for i, v := range j.Variants {
		r, ok := rendition(v, a.Renditions[i], files[i])
		if !ok {
			return Report{}, liar()
		}
		report.Renditions = append(report.Renditions, r)
		if r.Width*r.Height > report.Width*report.Height {
			report.Width, report.Height = r.Width, r.Height
		}
	}
	report.MediaType, report.Extension = report.Renditions[0].MediaType, report.Renditions[0].Extension
	return report, nil
}

func liar() error { return refuse(layer.Invalid, lies, saysUnreadable, nil) }

// rendition checks one picture against its variant, and by its first bytes, of which nothing is parsed.
func rendition(v picture.Variant, d drawn, file []byte) (Rendition, bool) {
	kind := Kind(d.Format)
	format, ok := picture.Detect(file)
	fits := d.Width >= 1 && d.Height >= 1 && d.Width <= v.Width && d.Height <= v.Height
	if !ok || format != d.Format || format == picture.WebP || !fits || d.Frames < 1 || d.Frames > 1 && format != picture.GIF {
		return Rendition{}, false
	}
	return Rendition{Variant: v.Name, MediaType: kind.mediaType(), Extension: kind.extension(), Width: d.Width, Height: d.Height, Frames: d.Frames,
		Data: file}, true
}
