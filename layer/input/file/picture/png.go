package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"image"
	"image/png"
	"io"
)

// A pngSurvey is a survey and what of a PNG's header its memory depends on.
type pngSurvey struct {
	survey
	depth, kind byte
	interlaced  bool
	keyed       bool // a colour, or the palette, is transparent
}

// surveyPNG walks the chunks (PNG, third edition, 5.3) to the last one. Text, profiles and whatever else is compressed within is
// never unpacked; the one exception, a colour profile, is read to a bound.
func surveyPNG(data []byte) (survey, reason) {
	s := pngSurvey{survey: survey{frames: 1}}
	kind, body, rest, why := nextChunk(data[len(pngMagic):])
	if why == "" && (kind != "IHDR" || len(body) != 13 || !s.header(body)) {
		why = notDecodable
	}
	for why == "" && kind != "IEND" { // each chunk takes at least twelve bytes
		kind, body, rest, why = nextChunk(rest)
		switch kind {
		case "IHDR":
			why = notDecodable
		case "tRNS":
			s.keyed = true
		case "eXIf":
			s.exif = body
		case "iCCP":
			if s.icc == nil {
				s.icc = unpackProfile(body)
			}
		}
	}
	s.memory = s.decoded()
	return s.survey, why
}

// nextChunk takes a chunk. Its checksum is left to the decoder.
func nextChunk(data []byte) (kind string, body, rest []byte, why reason) {
	if len(data) < 12 {
		return "", nil, nil, truncated
	}
	n := int64(binary.BigEndian.Uint32(data))
	switch {
	case n > maxChunk:
		return "", nil, nil, notDecodable
	case n > int64(len(data)-12):
		return "", nil, nil, truncated
	}
	return string(data[4:8]), data[8 : 8+n], data[12+n:], ""
}

// maxChunk is the most that a chunk's length may say, and a side of the picture.
const maxChunk = 1<<31 - 1

func (s *pngSurvey) header(body []byte) bool {
	w, h := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
	if w > maxChunk || h > maxChunk {
		return false
	}
	s.width, s.height = int(w), int(h)
	s.depth, s.kind, s.interlaced = body[8], body[9], body[12] != 0
	return true
}

// decoded is what the decoder will take. An interlaced picture is put together from parts, of which the last is half of it.
func (s *pngSurvey) decoded() int64 {
	const grey, palette = 0, 3
	each := int64(4) // truecolour, with transparency or without
	if s.kind == palette || s.kind == grey && !s.keyed {
		each = 1
	}
	if s.depth == 16 {
		each *= 2
	}
	if s.interlaced {
		each += (each + 1) / 2
	}
	if s.kind == palette {
		each += 4 // it is looked up
	}
	return each * int64(s.width) * int64(s.height)
}

// unpackProfile reads the colour profile of an iCCP chunk, of which as much as any profile has that we know. A bomb is not unpacked.
func unpackProfile(body []byte) []byte {
	const maxName = 79
	name := bytes.IndexByte(body[:min(len(body), maxName+1)], 0)
	if name < 0 || len(body) < name+2 || body[name+1] != 0 {
		return nil
	}
	r, err := zlib.NewReader(bytes.NewReader(body[name+2:]))
	if err != nil {
		return nil
	}
	icc, err := io.ReadAll(io.LimitReader(r, maxProfile+1))
	if err != nil {
		return nil
	}
	return icc
}

func configPNG(data []byte) (image.Config, error) { return png.DecodeConfig(bytes.NewReader(data)) }

func decodePNG(data []byte) (*source, error) {
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return sourceOf(m)
}

// sourceOf takes the images that the decoders of PNG and WebP make.
func sourceOf(m image.Image) (*source, error) {
	switch m := m.(type) {
	case *image.Gray:
		return flat(grayRaster(m)), nil
	case *image.Gray16:
		return flat(grayRaster(fromGray16(m))), nil
	case *image.Paletted:
		return &source{raster: rgbaRaster(fromPaletted(m)), indexed: m}, nil
	case *image.RGBA:
		return flat(rgbaRaster(m)), nil
	case *image.RGBA64: // opaque, as PNG has no other
		return flat(rgbaRaster(&image.RGBA{Pix: narrow64(m.Pix), Stride: m.Stride / 2, Rect: m.Rect})), nil
	case *image.NRGBA:
		return flat(rgbaRaster(premultiply(m))), nil
	case *image.NRGBA64:
		return flat(rgbaRaster(premultiply(&image.NRGBA{Pix: narrow64(m.Pix), Stride: m.Stride / 2, Rect: m.Rect}))), nil
	}
	return nil, errors.New("an image of no known type")
}

// flat is a source that is no photograph by its format; it may look like one.
func flat(r raster) *source { return &source{raster: r, photo: photographic(r.planes[0])} }

// narrow64 halves what samples of sixteen bits take, in place.
func narrow64(pix []byte) []byte {
	for i := range len(pix) / 2 {
		pix[i] = pix[2*i]
	}
	return pix[: len(pix)/2 : len(pix)/2]
}

func fromGray16(m *image.Gray16) *image.Gray {
	return &image.Gray{Pix: narrow64(m.Pix), Stride: m.Stride / 2, Rect: m.Rect}
}

// premultiply multiplies the colours by their opacity, in place, so that invisible ones do not bleed into their neighbours.
func premultiply(m *image.NRGBA) *image.RGBA {
	for p := m.Pix; len(p) >= 4; p = p[4:] {
		if a := uint32(p[3]); a != 255 {
			p[0], p[1], p[2] = over255(uint32(p[0])*a), over255(uint32(p[1])*a), over255(uint32(p[2])*a)
		}
	}
	return &image.RGBA{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect}
}

// over255 divides by 255 and rounds, exactly, for products of two bytes.
func over255(v uint32) uint8 { v += 128; return uint8((v + v>>8) >> 8) }

func fromPaletted(m *image.Paletted) *image.RGBA {
	to := image.NewRGBA(m.Rect)
	drawOver(to, m)
	return to
}

// drawOver draws what is not invisible of m, which lies within to. No decoder leaves a pixel that is not in the palette.
func drawOver(to *image.RGBA, m *image.Paletted) {
	var colours [256][4]uint8
	for i, c := range m.Palette[:min(len(m.Palette), 256)] {
		r, g, b, a := c.RGBA()
		colours[i] = [4]uint8{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), uint8(a >> 8)}
	}
	for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
		line := to.Pix[to.PixOffset(m.Rect.Min.X, y):]
		for x, i := range m.Pix[m.PixOffset(m.Rect.Min.X, y):][:m.Rect.Dx()] {
			if c := &colours[i]; c[3] != 0 {
				copy(line[4*x:4*x+4], c[:])
			}
		}
	}
}
