package picture

import (
	"image"
	"math"
)

// A raster is a picture as its pixels: one plane of grey, one of red, green, blue and opacity with the colours multiplied by it, or
// three of brightness and two differences of colour as in a JPEG.
type raster struct {
	width, height int
	planes        []plane
	ratioX        int // pixels for each sample of colour, where there are three planes
	ratioY        int
}

func grayRaster(m *image.Gray) raster {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	return raster{width: w, height: h, planes: []plane{{m.Pix, m.Stride, w, h, 1, float64(w), float64(h)}}}
}

func rgbaRaster(m *image.RGBA) raster {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	return raster{width: w, height: h, planes: []plane{{m.Pix, m.Stride, w, h, 4, float64(w), float64(h)}}}
}

func planarRaster(m *image.YCbCr) raster {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	r := raster{width: w, height: h}
	r.ratioX, r.ratioY = ratios(m.SubsampleRatio)
	cw, ch, ex, ey := colours(w, h, r.ratioX, r.ratioY)
	r.planes = []plane{
		{m.Y, m.YStride, w, h, 1, float64(w), float64(h)},
		{m.Cb, m.CStride, cw, ch, 1, ex, ey},
		{m.Cr, m.CStride, cw, ch, 1, ex, ey},
	}
	return r
}

func ratios(s image.YCbCrSubsampleRatio) (x, y int) {
	switch s {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// colours is the size of a plane of colour, in samples and exactly.
func colours(w, h, ratioX, ratioY int) (cw, ch int, extentX, extentY float64) {
	return (w + ratioX - 1) / ratioX, (h + ratioY - 1) / ratioY, float64(w) / float64(ratioX), float64(h) / float64(ratioY)
}

// resize makes a raster of the size. Colours get half of it either way: the encoder keeps no more.
func (r raster) resize(w, h int) raster {
	to := raster{width: w, height: h, ratioX: 2, ratioY: 2, planes: make([]plane, len(r.planes))}
	to.planes[0] = r.planes[0].resize(w, h, float64(w), float64(h))
	for i := 1; i < len(r.planes); i++ {
		cw, ch, ex, ey := colours(w, h, 2, 2)
		to.planes[i] = r.planes[i].resize(cw, ch, ex, ey)
	}
	return to
}

// cut is the part of r of this size in its middle, up to three pixels beside it so that no sample of colour is divided.
func (r raster) cut(w, h int) raster {
	x, y := (r.width-w)/2&^3, (r.height-h)/2&^3
	to := raster{width: w, height: h, ratioX: r.ratioX, ratioY: r.ratioY, planes: make([]plane, len(r.planes))}
	to.planes[0] = r.planes[0].cut(x, y, w, h, float64(w), float64(h))
	for i := 1; i < len(r.planes); i++ {
		cw, ch, ex, ey := colours(w, h, r.ratioX, r.ratioY)
		to.planes[i] = r.planes[i].cut(x/r.ratioX, y/r.ratioY, cw, ch, ex, ey)
	}
	return to
}

// turn makes r upright. The ratios change places too.
func (r raster) turn(orientation int) raster {
	if orientation == upright {
		return r
	}
	to := raster{width: r.width, height: r.height, ratioX: r.ratioX, ratioY: r.ratioY, planes: make([]plane, len(r.planes))}
	if orientation >= 5 {
		to.width, to.height, to.ratioX, to.ratioY = r.height, r.width, r.ratioY, r.ratioX
	}
	for i, p := range r.planes {
		to.planes[i] = p.turn(orientation)
	}
	return to
}

// scaled is the size that a picture of width and height has in a variant's scale, before anything is cut off, and then the size of
// what is left. Rounding never takes a side away.
func (v Variant) scaled(width, height int) (whole, left image.Point) {
	byWidth, byHeight := float64(v.Width)/float64(width), float64(v.Height)/float64(height)
	times := func(by float64) image.Point {
		by = min(by, 1)
		return image.Pt(max(1, int(math.Round(by*float64(width)))), max(1, int(math.Round(by*float64(height)))))
	}
	if !v.Crop {
		whole = times(min(byWidth, byHeight))
		return whole, whole
	}
	whole = times(max(byWidth, byHeight))
	shrink := min(1, float64(whole.X)/float64(v.Width), float64(whole.Y)/float64(v.Height))
	left.X = min(whole.X, max(1, int(math.Round(shrink*float64(v.Width)))))
	left.Y = min(whole.Y, max(1, int(math.Round(shrink*float64(v.Height)))))
	return whole, left
}
