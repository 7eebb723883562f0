package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/draw"
	"image/gif"
)

// A gifReader steps through the blocks of a GIF (GIF89a specification, appendix B) as package image/gif does, which allocates each
// frame before it has read any of it.
type gifReader struct {
	survey
	rest []byte
	why  reason // the first thing that is wrong
}

func surveyGIF(data []byte) (survey, reason) {
	r := gifReader{rest: data[6:]}
	screen := r.take(7)
	if r.why != "" {
		return r.survey, r.why
	}
	r.width, r.height = int(binary.LittleEndian.Uint16(screen)), int(binary.LittleEndian.Uint16(screen[2:]))
	r.table(screen[4])
	for r.why == "" { // each block takes at least a byte
		switch r.byte() {
		case 0x21:
			r.extension()
		case 0x2c:
			r.frame()
		case 0x3b: // what follows the trailer is dropped
			return r.finish()
		default:
			r.wrong(notDecodable)
		}
	}
	return r.survey, r.why
}

// finish counts what is needed to show the frames one after the other: all of them, and the whole picture in four bytes for a pixel.
func (r *gifReader) finish() (survey, reason) {
	if r.why == "" && r.frames == 0 {
		r.wrong(notDecodable)
	}
	r.memory = 5 * int64(r.width) * int64(r.height)
	return r.survey, r.why
}

// frame reads an image descriptor and steps over its data. A frame is within the picture, so that frames times area bounds them all.
func (r *gifReader) frame() {
	d := r.take(9)
	if r.why != "" {
		return
	}
	at := func(i int) int { return int(binary.LittleEndian.Uint16(d[i:])) }
	if at(4) == 0 || at(6) == 0 || at(0)+at(4) > r.width || at(2)+at(6) > r.height {
		r.wrong(notDecodable)
	}
	r.frames++
	r.table(d[8])
	r.byte() // of the first code's width
	r.blocks()
}

// extension steps over everything but what the decoder reads in another way than by its blocks.
func (r *gifReader) extension() {
	switch label := r.byte(); label {
	case 0x01, 0xf9, 0xff:
		first := r.peek()
		if label == 0x01 && first != 12 || label == 0xf9 && first != 4 || first == 0 {
			r.wrong(notDecodable)
		}
		r.blocks()
	case 0xfe:
		r.blocks()
	default:
		r.wrong(notDecodable)
	}
}

// blocks steps over a chain of blocks, each of which begins with its length; an empty one ends it.
func (r *gifReader) blocks() {
	for n := r.byte(); n > 0 && r.why == ""; n = r.byte() {
		r.take(int(n))
	}
}

// table steps over a colour table, if fields say that there is one.
func (r *gifReader) table(fields byte) {
	if fields&0x80 != 0 {
		r.take(3 << (1 + fields&7))
	}
}

func (r *gifReader) wrong(why reason) {
	if r.why == "" {
		r.why = why
	}
}

func (r *gifReader) peek() byte {
	if len(r.rest) == 0 {
		r.wrong(truncated)
		return 0
	}
	return r.rest[0]
}

func (r *gifReader) byte() byte {
	b := r.peek()
	r.rest = r.rest[min(1, len(r.rest)):]
	return b
}

func (r *gifReader) take(n int) []byte {
	if n > len(r.rest) {
		r.wrong(truncated)
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func configGIF(data []byte) (image.Config, error) { return gif.DecodeConfig(bytes.NewReader(data)) }

func decodeGIF(data []byte) (*source, error) {
	g, err := gif.DecodeAll(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	first := image.NewRGBA(image.Rect(0, 0, g.Config.Width, g.Config.Height))
	drawOver(first, g.Image[0])
	s := &source{raster: rgbaRaster(first)}
	if len(g.Image) > 1 {
		s.animation = g
	} else if g.Image[0].Rect == first.Rect {
		s.indexed = g.Image[0]
	}
	return s, nil
}

// shown calls each with every picture of the animation as a browser shows it: frames are drawn over what the one before has left. The
// picture is the same variable every time.
func shown(g *gif.GIF, each func(int, *image.RGBA)) {
	canvas := image.NewRGBA(image.Rect(0, 0, g.Config.Width, g.Config.Height))
	var before []uint8
	for i, frame := range g.Image {
		if g.Disposal[i] == gif.DisposalPrevious {
			before = append(before[:0], canvas.Pix...)
		}
		drawOver(canvas, frame)
		each(i, canvas)
		switch g.Disposal[i] {
		case gif.DisposalBackground: // which is nothing in every browser, whatever colour the file says
			draw.Draw(canvas, frame.Rect, image.Transparent, image.Point{}, draw.Src)
		case gif.DisposalPrevious:
			copy(canvas.Pix, before)
		}
	}
}

// animation makes an animated rendition of the width and height.
func animation(g *gif.GIF, width, height int) *gif.GIF {
	if width == g.Config.Width && height == g.Config.Height {
		return asItWas(g)
	}
	return resized(g, width, height)
}

// asItWas keeps an animation's frames as its author has optimised them, with palettes of ours.
func asItWas(g *gif.GIF) *gif.GIF {
	to := &gif.GIF{LoopCount: g.LoopCount, Delay: g.Delay, Config: image.Config{Width: g.Config.Width, Height: g.Config.Height}}
	for i, frame := range g.Image {
		to.Image = append(to.Image, tidyPalette(frame))
		disposal := g.Disposal[i]
		if disposal > gif.DisposalPrevious { // undefined
			disposal = 0
		}
		to.Disposal = append(to.Disposal, disposal)
	}
	return to
}

// resized shows the animation twice: to find the colours of all smaller pictures together, so that they do not flicker, and then to
// draw with them. So it never holds more of these than one.
func resized(g *gif.GIF, width, height int) *gif.GIF {
	var q quantiser
	small := func(m *image.RGBA) plane { return rgbaRaster(m).resize(width, height).planes[0] }
	shown(g, func(_ int, m *image.RGBA) { q.count(small(m)) })
	palette := q.palette()
	to := &gif.GIF{LoopCount: g.LoopCount, Delay: g.Delay, Config: image.Config{ColorModel: palette, Width: width, Height: height}}
	var last *image.Paletted
	shown(g, func(i int, m *image.RGBA) {
		frame := q.draw(small(m), palette)
		disposal, part := byte(gif.DisposalBackground), frame
		if !q.transparent { // then what is there already need not be drawn again
			disposal, part = gif.DisposalNone, changed(last, frame)
		}
		last = frame
		to.Image, to.Disposal = append(to.Image, part), append(to.Disposal, disposal)
	})
	return to
}

// changed is the part of a frame outside of which it is like the last one. It shares the frame's pixels, and is never empty, since a
// frame is also the time for which it is shown.
func changed(last, frame *image.Paletted) *image.Paletted {
	if last == nil {
		return frame
	}
	var r image.Rectangle
	for y := range frame.Rect.Dy() {
		a, b := last.Pix[y*last.Stride:][:last.Stride], frame.Pix[y*frame.Stride:][:frame.Stride]
		if bytes.Equal(a, b) {
			continue
		}
		from, to := 0, len(b)
		for a[from] == b[from] {
			from++
		}
		for a[to-1] == b[to-1] {
			to--
		}
		r = r.Union(image.Rect(from, y, to, y+1))
	}
	if r.Empty() {
		r = image.Rect(0, 0, 1, 1)
	}
	return frame.SubImage(r).(*image.Paletted)
}

// tidyPalette gives an image the palette of the colours that it uses, in their own order. Seven hundred bytes that a file says what
// they are would be enough for a small program.
func tidyPalette(m *image.Paletted) *image.Paletted {
	var used [256]bool
	for y := range m.Rect.Dy() {
		for _, i := range m.Pix[y*m.Stride:][:m.Rect.Dx()] {
			used[i] = true
		}
	}
	palette, index := sortedPalette(m.Palette, used)
	to := image.NewPaletted(m.Rect, palette)
	for y := range m.Rect.Dy() {
		line := to.Pix[y*to.Stride:]
		for x, i := range m.Pix[y*m.Stride:][:m.Rect.Dx()] {
			line[x] = index[i]
		}
	}
	return to
}
