package picture

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"fmt"
	"strconv"
)

var (
	//go:embed palette.css
	palette string
	//go:embed drawing.css
	drawingStyle string
)

// A drawing is an SVG that is being made, from top to bottom. It brings its own ground, so that it can be read wherever it is put, and
// its own night. It has no script, no link, no font and nothing else that would be fetched.
type drawing struct {
	body bytes.Buffer
}

// whole is the drawing's file.
func (d *drawing) whole(width, height float64, title, description string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%[1]s" height="%[2]s" role="img" aria-labelledby="title description">`+"\n", px(width), px(height))
	fmt.Fprintf(&out, "<title id=\"title\">%s</title>\n<desc id=\"description\">%s</desc>\n", escaped(title), escaped(description))
	fmt.Fprintf(&out, "<style>\n%s%s</style>\n", palette, drawingStyle)
	fmt.Fprintf(&out, `<rect class="paper" x="0.5" y="0.5" width="%s" height="%s" rx="14"/>`+"\n", px(width-1), px(height-1))
	out.Write(d.body.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// px is a length, rounded to a tenth, so that no machine's arithmetic shows.
func px(x float64) string {
	return strconv.FormatFloat(float64(int64(x*10+0.5*sign(x)))/10, 'f', -1, 64)
}

func sign(x float64) float64 {
	if x < 0 {
		return -1
	}
	return 1
}

func escaped(text string) string {
	var out bytes.Buffer
	_ = xml.EscapeText(&out, []byte(text)) // a Buffer takes everything
	return out.String()
}

func (d *drawing) rect(class string, x, y, width, height, radius float64) {
	fmt.Fprintf(&d.body, `<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="%s"/>`+"\n", class, px(x), px(y), px(width), px(height), px(radius))
}

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&d.body, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`+"\n", class, px(x1), px(y1), px(x2), px(y2))
}

func (d *drawing) circle(class string, x, y, radius float64) {
	fmt.Fprintf(&d.body, `<circle class="%s" cx="%s" cy="%s" r="%s"/>`+"\n", class, px(x), px(y), px(radius))
}

func (d *drawing) path(class, data string) {
	fmt.Fprintf(&d.body, `<path class="%s" d="%s"/>`+"\n", class, data)
}

// text writes words; where says to which side of x they stand: "start", "middle" or "end".
func (d *drawing) text(class string, size, x, y float64, where, words string) {
	if words == "" {
		return
	}
	fmt.Fprintf(&d.body, `<text class="%s" font-size="%s" x="%s" y="%s" text-anchor="%s">%s</text>`+"\n", class, px(size), px(x), px(y), where, escaped(words))
}

// upright writes words that are read from below.
func (d *drawing) upright(class string, size, x, y float64, words string) {
	fmt.Fprintf(&d.body, `<text class="%s" font-size="%s" transform="translate(%s %s) rotate(-90)">%s</text>`+"\n", class, px(size), px(x), px(y), escaped(words))
}

// stop is the mark of a unit that stops an attack; stopTogether of one that does so in company.
func (d *drawing) stop(x, y, r float64) { d.circle("mark", x, y, r) }

func (d *drawing) stopTogether(x, y, r float64) {
	d.circle("mark-line", x, y, r-0.75)
	d.path("mark", fmt.Sprintf("M%s %sA%[3]s %[3]s 0 0 0 %[1]s %[4]sz", px(x), px(y-r), px(r), px(y+r)))
}

// falls is the mark of a cause that breaks everything that stood before an attack.
func (d *drawing) falls(class string, x, y, r float64) {
	d.path(class, fmt.Sprintf("M%s %sL%s %sL%[1]s %[5]sL%[6]s %[4]sz", px(x), px(y-r), px(x+r), px(y), px(y+r), px(x-r)))
}
