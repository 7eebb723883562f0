package picture

import (
	"bytes"
	"cmp"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"slices"
)

// quality of the JPEGs that are written: the difference is not seen, and the files are a third of what cameras make.
const quality = 82

// A source is a picture that was decoded, not yet upright.
type source struct {
	raster      raster          // of an animation, its first picture
	photo       bool            // to be written as JPEG; opaque, then
	wide        bool            // in the colours of Display P3
	indexed     *image.Paletted // the same with its palette, if it has one
	animation   *gif.GIF        // if it moves
	orientation int
}

func (s *source) frames() int {
	if s.animation != nil {
		return len(s.animation.Image)
	}
	return 1
}

// A job is one rendition to be made, and its sizes while the picture is not upright.
type job struct {
	Variant
	at          int // among the variants
	whole, left image.Point
}

// jobs are the variants, the largest first: others are made from it where it is at least twice as large, so that the picture as it
// came is mostly gone through once.
func (s *source) jobs(variants []Variant) []job {
	var jobs []job
	for i, v := range variants {
		j := job{Variant: v, at: i}
		if s.orientation >= 5 {
			v.Width, v.Height = v.Height, v.Width
		}
		j.whole, j.left = v.scaled(s.raster.width, s.raster.height)
		jobs = append(jobs, j)
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(b.whole.X+b.whole.Y, a.whole.X+a.whole.Y) })
	return jobs
}

// renditions makes them all, in the order of the variants.
func (s *source) renditions(variants []Variant) ([]Rendition, error) {
	made := make([]Rendition, len(variants))
	levels := []raster{s.raster}
	for _, j := range s.jobs(variants) {
		if kept, ok := s.keep(j); ok {
			made[j.at] = kept
			continue
		}
		n := nearest(levels, j.whole)
		small := levels[n].fit(j)
		if n == 0 && s.wide {
			small = narrow(small)
		}
		if !j.Crop {
			levels = append(levels, small)
		}
		made[j.at] = s.write(j, small.turn(s.orientation))
	}
	if slices.ContainsFunc(made, func(r Rendition) bool { return len(r.Data) == 0 }) {
		return nil, refused(notEncodable)
	}
	return made, nil
}

// nearest is the last and smallest level that is at least twice as large as the size, or else the picture itself.
func nearest(levels []raster, size image.Point) int {
	for i := len(levels) - 1; i > 0; i-- {
		if max(levels[i].width, levels[i].height) >= 2*max(size.X, size.Y) {
			return i
		}
	}
	return 0
}

// fit cuts and resizes.
func (r raster) fit(j job) raster {
	part := func(all, left, whole int) int {
		return min(all, max(1, int(math.Round(float64(all)*float64(left)/float64(whole)))))
	}
	w, h := part(r.width, j.left.X, j.whole.X), part(r.height, j.left.Y, j.whole.Y)
	return r.cut(w, h).resize(j.left.X, j.left.Y)
}

// keep makes the renditions that are not of pixels alone: animations, and pictures of few colours in the size in which they came.
func (s *source) keep(j job) (Rendition, bool) {
	switch {
	case s.animation != nil && !j.Crop:
		g := animation(s.animation, j.whole.X, j.whole.Y)
		var b bytes.Buffer
		if gif.EncodeAll(&b, g) != nil {
			b.Reset()
		}
		return Rendition{j.Name, GIF, j.whole.X, j.whole.Y, len(g.Image), b.Bytes()}, true
	case s.indexed != nil && !s.wide && s.orientation == upright && j.left == image.Pt(s.raster.width, s.raster.height):
		return j.encode(PNG, tidyPalette(s.indexed)), true
	}
	return Rendition{}, false
}

// write encodes pixels: as JPEG what looks like a photograph, and as PNG the rest.
func (s *source) write(j job, r raster) Rendition {
	first := r.planes[0]
	rect := image.Rect(0, 0, r.width, r.height)
	switch {
	case len(r.planes) == 3:
		return j.encode(JPEG, &image.YCbCr{Y: first.pix, Cb: r.planes[1].pix, Cr: r.planes[2].pix, YStride: first.stride,
			CStride: r.planes[1].stride, SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: rect})
	case first.n == 1 && s.photo:
		return j.encode(JPEG, &image.Gray{Pix: first.pix, Stride: first.stride, Rect: rect})
	case first.n == 1:
		return j.encode(PNG, &image.Gray{Pix: first.pix, Stride: first.stride, Rect: rect})
	case s.photo:
		return j.encode(JPEG, &image.RGBA{Pix: first.pix, Stride: first.stride, Rect: rect})
	}
	return j.encode(PNG, unmultiply(first))
}

// encode writes an image. The standard encoders write nothing beside it: no profile, no comment, no program's name. Data stays empty
// if they will not.
func (j job) encode(f Format, m image.Image) Rendition {
	var b bytes.Buffer
	var err error
	size := m.Bounds().Size()
	if f == JPEG {
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: quality})
	} else {
		err = compressor(size).Encode(&b, m)
	}
	if err != nil {
		b.Reset()
	}
	return Rendition{j.Name, f, size.X, size.Y, 1, b.Bytes()}
}

// compressor does not look long for the best in large pictures. Drawings are not larger for it; noise that one sees through, which
// takes seconds otherwise, is by a quarter.
func compressor(size image.Point) *png.Encoder {
	const large = 1 << 20
	if size.X*size.Y > large {
		return &png.Encoder{CompressionLevel: png.BestSpeed}
	}
	return &png.Encoder{}
}

// unmultiply is the opposite of premultiply.
func unmultiply(p plane) *image.NRGBA {
	to := image.NewNRGBA(image.Rect(0, 0, p.w, p.h))
	for y := range p.h {
		dst := to.Pix[y*to.Stride:]
		for row := p.row(y); len(row) >= 4; row, dst = row[4:], dst[4:] {
			dst[0], dst[1], dst[2] = straight(row)
			dst[3] = row[3]
		}
	}
	return to
}

// transparent reports whether one sees through any pixel.
func transparent(p plane) bool {
	if p.n != 4 {
		return false
	}
	for y := range p.h {
		for row := p.row(y); len(row) >= 4; row = row[4:] {
			if row[3] != 255 {
				return true
			}
		}
	}
	return false
}

// photographic tells by its pixels whether a picture without loss would be better off with some: in what a camera saw, hardly any
// pixel is like the one before it, and in what was drawn or written most are. Small pictures are as they are.
func photographic(p plane) bool {
	const small = 256 * 256
	if p.w*p.h < small || transparent(p) {
		return false
	}
	same := 0
	for y := range p.h {
		row := p.row(y)
		for i := p.n; i < len(row); i += p.n {
			if row[i] == row[i-p.n] && (p.n == 1 || row[i+1] == row[i-3] && row[i+2] == row[i-2]) {
				same++
			}
		}
	}
	return same < p.w*p.h/4
}
