package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"math"

	"golang.org/x/image/webp"
)

// surveyWebP walks the chunks (RFC 9649, 2) up to the end that the file's own header names.
func surveyWebP(data []byte) (survey, reason) {
	s := survey{frames: 1}
	size := int64(binary.LittleEndian.Uint32(data[4:]))
	if size < 4 {
		return s, notDecodable
	}
	cut := size > int64(len(data)-8)
	rest := data[12:min(int64(len(data)), 8+size)]
	w := webpSurvey{survey: s}
	for len(rest) >= 8 { // each chunk takes at least eight bytes
		kind, n := string(rest[:4]), int64(binary.LittleEndian.Uint32(rest[4:]))
		if n > int64(len(rest)-8) {
			break
		}
		if why := w.chunk(kind, rest[8:8+n]); why != "" {
			return w.survey, why
		}
		rest = rest[min(int64(len(rest)), 8+n+n&1):] // they begin at even places
	}
	switch {
	case cut || len(rest) > 0:
		return w.survey, truncated
	case !w.pixels:
		return w.survey, notDecodable
	}
	return w.survey, ""
}

// A webpSurvey is a survey and what was seen so far.
type webpSurvey struct {
	survey
	alpha, pixels bool
}

func (s *webpSurvey) chunk(kind string, body []byte) reason {
	switch kind {
	case "ANIM", "ANMF":
		return animatedWebP
	case "VP8X":
		if len(body) == 10 && body[0]&2 != 0 {
			return animatedWebP
		}
	case "ALPH":
		s.alpha = true
	case "EXIF":
		s.exif = bytes.TrimPrefix(body, []byte("Exif\x00\x00")) // which is JPEG's, but some write it
	case "ICCP":
		s.icc = body
	case "VP8 ", "VP8L":
		if !s.pixels { // the decoder reads the first alone
			s.pixels = true
			return s.size(kind, body)
		}
	}
	return ""
}

// size reads the size that the decoder will believe: of the picture's own header (RFC 6386, 9.1; RFC 9649, 3.4).
func (s *webpSurvey) size(kind string, body []byte) reason {
	lossless := kind == "VP8L"
	if lossless && len(body) < 5 || !lossless && len(body) < 10 {
		return truncated
	}
	each := int64(3) // halves of a byte for a pixel: planes, that of colour of half the size
	if lossless {
		v := binary.LittleEndian.Uint32(body[1:])
		s.width, s.height = int(v&0x3fff)+1, int(v>>14&0x3fff)+1
		each = 12 // and what its transforms need
	} else {
		s.width, s.height = int(binary.LittleEndian.Uint16(body[6:])&0x3fff), int(binary.LittleEndian.Uint16(body[8:])&0x3fff)
	}
	if s.alpha {
		each += 2 + 8 + 3 // opacity is decoded as a picture of its own; then both are put together
	}
	s.memory = each * int64(s.width) * int64(s.height) / 2
	return ""
}

func configWebP(data []byte) (image.Config, error) { return webp.DecodeConfig(bytes.NewReader(data)) }

func decodeWebP(data []byte) (*source, error) {
	m, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *image.YCbCr:
		fullRange(m)
		return &source{raster: planarRaster(m), photo: true}, nil
	case *image.NYCbCrA:
		fullRange(&m.YCbCr)
		r := rgbaRaster(fromNYCbCrA(m))
		return &source{raster: r, photo: !transparent(r.planes[0])}, nil
	}
	return sourceOf(m)
}

// fullRange stretches what WebP stores in 16 to 235, and colours in 16 to 240 (RFC 9649, 2.5, by ITU-R BT.601), to the bytes that
// JPEG means by it. Package webp leaves that to its callers.
func fullRange(m *image.YCbCr) {
	var light, colour [256]uint8
	for i := range 256 {
		light[i] = uint8(min(255, max(0, math.Round(float64(i-16)*255/219))))
		colour[i] = uint8(min(255, max(0, math.Round(128+float64(i-128)*255/224))))
	}
	for i, v := range m.Y {
		m.Y[i] = light[v]
	}
	for i, v := range m.Cb {
		m.Cb[i] = colour[v]
	}
	for i, v := range m.Cr {
		m.Cr[i] = colour[v]
	}
}

func fromNYCbCrA(m *image.NYCbCrA) *image.RGBA {
	to := image.NewNRGBA(image.Rectangle{Max: m.Rect.Size()})
	for y := range m.Rect.Dy() {
		line := to.Pix[y*to.Stride:]
		for x := range m.Rect.Dx() {
			yi, ci := m.YOffset(x, y), m.COffset(x, y)
			p := line[4*x : 4*x+4]
			p[0], p[1], p[2] = color.YCbCrToRGB(m.Y[yi], m.Cb[ci], m.Cr[ci])
			p[3] = m.A[y*m.AStride+x]
		}
	}
	return premultiply(to)
}
