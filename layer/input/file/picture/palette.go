package picture

import (
	"cmp"
	"image"
	"image/color"
	"slices"
)

// cells is the number of colours that a quantiser tells apart: five bits of red, green and blue.
const cells = 1 << 15

func cell(r, g, b uint8) int { return int(r>>3)<<10 | int(g>>3)<<5 | int(b>>3) }

// A quantiser chooses the 255 colours that stand for all colours of a picture or of an animation, by cutting the space of colours
// where half of the pixels are on either side (P. Heckbert, Color image quantization for frame buffer display, 1982). What it
// holds is of one size, whatever it counts. A pixel of a GIF is visible or not: half visible is.
type quantiser struct {
	seen        []tally
	transparent bool // some pixel is
	nearest     []uint8
	known       []bool
}

// A tally is what was seen of one cell.
type tally struct{ cell, n, r, g, b uint64 }

// count adds the pixels of a plane of four channels.
func (q *quantiser) count(p plane) {
	if q.seen == nil {
		q.seen = make([]tally, cells)
	}
	for y := range p.h {
		for row := p.row(y); len(row) >= 4; row = row[4:] {
			if row[3] < 128 {
				q.transparent = true
				continue
			}
			r, g, b := straight(row)
			t := &q.seen[cell(r, g, b)]
			t.n, t.r, t.g, t.b = t.n+1, t.r+uint64(r), t.g+uint64(g), t.b+uint64(b)
		}
	}
}

// straight undoes premultiply for one pixel. Sharpening may have left a colour stronger than its opacity.
func straight(p []uint8) (r, g, b uint8) {
	a := uint32(p[3])
	if a == 255 || a == 0 {
		return p[0], p[1], p[2]
	}
	of := func(v uint8) uint8 { return uint8(min(255, (uint32(v)*255+a/2)/a)) }
	return of(p[0]), of(p[1]), of(p[2])
}

// palette chooses. The first colour is the transparent one, if there is any.
func (q *quantiser) palette() color.Palette {
	var all []tally
	for i, t := range q.seen {
		if t.n > 0 {
			t.cell = uint64(i)
			all = append(all, t)
		}
	}
	var p color.Palette
	if q.transparent {
		p = append(p, color.RGBA{})
	}
	for _, box := range cut(all, 255) {
		p = append(p, mean(box))
	}
	return p
}

// cut divides what was seen into at most n boxes, always the one in which the most pixels are.
func cut(all []tally, n int) [][]tally {
	if len(all) == 0 {
		return nil
	}
	boxes := [][]tally{all}
	for len(boxes) < n {
		largest, most := -1, uint64(0)
		for i, b := range boxes {
			if weight := total(b); len(b) > 1 && weight > most {
				largest, most = i, weight
			}
		}
		if largest < 0 {
			break
		}
		a, b := halve(boxes[largest])
		boxes[largest] = a
		boxes = append(boxes, b)
	}
	return boxes
}

func total(box []tally) (n uint64) {
	for _, t := range box {
		n += t.n
	}
	return n
}

// halve cuts a box of at least two cells across its longest side.
func halve(box []tally) (a, b []tally) {
	var low, high [3]uint64
	for i := range 3 {
		low[i] = 31
		for _, t := range box {
			v := t.cell >> (10 - 5*i) & 31
			low[i], high[i] = min(low[i], v), max(high[i], v)
		}
	}
	side := 0
	for i := range 3 {
		if high[i]-low[i] > high[side]-low[side] {
			side = i
		}
	}
	shift := 10 - 5*side
	slices.SortFunc(box, func(a, b tally) int {
		return cmp.Or(cmp.Compare(a.cell>>shift&31, b.cell>>shift&31), cmp.Compare(a.cell, b.cell))
	})
	half, at, n := total(box)/2, 1, box[0].n
	for at < len(box)-1 && n < half {
		n += box[at].n
		at++
	}
	return box[:at], box[at:]
}

func mean(box []tally) color.RGBA {
	var s tally
	for _, t := range box {
		s.n, s.r, s.g, s.b = s.n+t.n, s.r+t.r, s.g+t.g, s.b+t.b
	}
	of := func(v uint64) uint8 { return uint8((v + s.n/2) / s.n) }
	return color.RGBA{of(s.r), of(s.g), of(s.b), 255}
}

// draw gives each pixel of a plane of four channels its colour of the palette.
func (q *quantiser) draw(p plane, palette color.Palette) *image.Paletted {
	if q.nearest == nil {
		q.nearest, q.known = make([]uint8, cells), make([]bool, cells)
	}
	to := image.NewPaletted(image.Rect(0, 0, p.w, p.h), palette)
	for y := range p.h {
		line, row := to.Pix[y*to.Stride:], p.row(y)
		for x := range p.w {
			if px := row[4*x : 4*x+4]; px[3] >= 128 {
				line[x] = q.find(px, palette)
			}
		}
	}
	return to
}

// find remembers by cell which colour is the nearest, as there are more pixels than cells.
func (q *quantiser) find(px []uint8, palette color.Palette) uint8 {
	r, g, b := straight(px)
	c := cell(r, g, b)
	if !q.known[c] {
		q.known[c], q.nearest[c] = true, q.search(palette, int(r), int(g), int(b))
	}
	return q.nearest[c]
}

func (q *quantiser) search(palette color.Palette, r, g, b int) uint8 {
	best, least := 0, 1<<30
	for i, c := range palette {
		c := c.(color.RGBA)
		if c.A == 0 {
			continue
		}
		dr, dg, db := r-int(c.R), g-int(c.G), b-int(c.B)
		if d := 2*dr*dr + 4*dg*dg + 3*db*db; d < least { // roughly as eyes do
			best, least = i, d
		}
	}
	return uint8(best)
}

// sortedPalette is the colours that are used, ordered by themselves, and where each index has gone. The transparent one is first,
// and there is one of it, as GIF has no more.
func sortedPalette(from color.Palette, used [256]bool) (color.Palette, [256]uint8) {
	var colours []color.NRGBA
	of := func(c color.Color) color.NRGBA {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		if n.A == 0 {
			return color.NRGBA{}
		}
		return n
	}
	for i, c := range from {
		if used[i] {
			colours = append(colours, of(c))
		}
	}
	slices.SortFunc(colours, func(a, b color.NRGBA) int {
		return cmp.Or(cmp.Compare(a.A, b.A), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	colours = slices.Compact(colours)
	to := make(color.Palette, len(colours))
	for i, c := range colours {
		to[i] = c
	}
	var index [256]uint8
	for i, c := range from {
		if used[i] {
			index[i] = uint8(slices.Index(colours, of(c)))
		}
	}
	return to, index
}
