package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
)

// maxSegments is far more than cameras and editors write; each takes at least four bytes of the file.
const maxSegments = 4096

// A jpegSurvey reads a JPEG's segments (ITU-T T.81, annex B) as package image/jpeg does, so that it counts what that will decode.
type jpegSurvey struct {
	survey
	components []byte // three bytes each, as in the frame header
	jfif       bool
	adobe      bool // an Adobe segment says that the components are no YCbCr
}

func surveyJPEG(data []byte) (survey, reason) {
	s := jpegSurvey{survey: survey{frames: 1}}
	rest := data[2:]
	for range maxSegments {
		marker, after := nextMarker(rest)
		if marker == 0xd9 { // end of image: what follows is dropped
			return s.finish()
		}
		if len(after) < 2 {
			return s.survey, truncated
		}
		n := int(binary.BigEndian.Uint16(after))
		if n < 2 {
			return s.survey, notDecodable
		}
		if n > len(after) {
			return s.survey, truncated
		}
		if why := s.segment(marker, after[2:n]); why != "" {
			return s.survey, why
		}
		rest = after[n:]
	}
	return s.survey, notDecodable
}

// nextMarker skips to the next marker that begins a segment or ends the image. Between segments it steps over fill bytes, and after
// a scan's header over all of the scan, in which 0xff is followed by zero or by a restart marker (T.81, B.1.1.5). At the end of data
// the marker is zero and nothing is after it.
func nextMarker(data []byte) (marker byte, after []byte) {
	for {
		i := bytes.IndexByte(data, 0xff)
		for i >= 0 && i < len(data) && data[i] == 0xff {
			i++
		}
		if i < 0 || i == len(data) {
			return 0, nil
		}
		marker, data = data[i], data[i+1:]
		if marker != 0 && (marker < 0xd0 || marker > 0xd7) {
			return marker, data
		}
	}
}

func (s *jpegSurvey) segment(marker byte, body []byte) reason {
	switch marker {
	case 0xc0, 0xc1, 0xc2:
		s.progressive = marker == 0xc2
		return s.frame(body)
	case 0xc3, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf: // lossless, hierarchical, arithmetic
		return unsupported
	case 0xda:
		s.scans++
	case 0xe0:
		if len(body) >= 5 {
			s.jfif = bytes.HasPrefix(body, []byte("JFIF\x00"))
		}
	case 0xe1:
		if exif, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && s.exif == nil {
			s.exif = exif
		}
	case 0xe2: // a profile of more than one segment is none that we know
		if icc, ok := bytes.CutPrefix(body, []byte("ICC_PROFILE\x00\x01\x01")); ok && s.icc == nil {
			s.icc = icc
		}
	case 0xee:
		if len(body) >= 12 && bytes.HasPrefix(body, []byte("Adobe")) {
			s.adobe = body[11] == 0
		}
	}
	return ""
}

// frame reads a frame header (T.81, B.2.2).
func (s *jpegSurvey) frame(body []byte) reason {
	if s.components != nil || len(body) < 6 || len(body) != 6+3*int(body[5]) {
		return notDecodable
	}
	s.components = body[6:]
	s.height, s.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	n := int(body[5])
	if body[0] != 8 || n != 1 && n != 3 && n != 4 {
		return unsupported
	}
	for i := range n {
		if h, v := s.sampling(i); h < 1 || h > 4 || v < 1 || v > 4 {
			return notDecodable
		}
	}
	s.memory = s.decoded()
	return ""
}

func (s *jpegSurvey) sampling(i int) (h, v int) {
	if len(s.components) == 3 { // the only component of a picture: T.81, A.2.2
		return 1, 1
	}
	return int(s.components[3*i+1] >> 4), int(s.components[3*i+1] & 15)
}

// decoded is what the decoder will take: a byte for every sample of whole blocks, and with progression a coefficient of four bytes
// for each until the last scan is read.
func (s *jpegSurvey) decoded() int64 {
	h0, v0 := s.sampling(0)
	samples := 0
	for i := range len(s.components) / 3 {
		h, v := s.sampling(i)
		samples += 64 * h * v
	}
	across, down := (s.width+8*h0-1)/(8*h0), (s.height+8*v0-1)/(8*v0)
	bytes := int64(samples) * int64(across) * int64(down)
	if s.progressive {
		bytes *= 5
	}
	return bytes
}

// finish adds what is known only in the end: pictures that are not YCbCr are converted, to four bytes for a pixel.
func (s *jpegSurvey) finish() (survey, reason) {
	if s.components == nil || s.scans == 0 {
		return s.survey, notDecodable
	}
	names := len(s.components) == 9 && s.components[0] == 'R' && s.components[3] == 'G' && s.components[6] == 'B'
	if len(s.components) == 12 || len(s.components) == 9 && !s.jfif && (s.adobe || names) {
		s.memory += 4 * int64(s.width) * int64(s.height)
	}
	return s.survey, ""
}

func configJPEG(data []byte) (image.Config, error) { return jpeg.DecodeConfig(bytes.NewReader(data)) }

// decodeJPEG leaves a photograph in the planes in which it is stored: brightness and, mostly at half the size, two of colour. Making
// it smaller costs less than half of what it would in RGB, and nothing is lost between.
func decodeJPEG(data []byte) (*source, error) {
	m, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *image.Gray:
		return &source{raster: grayRaster(m), photo: true}, nil
	case *image.YCbCr:
		return &source{raster: planarRaster(m), photo: true}, nil
	case *image.CMYK:
		return &source{raster: rgbaRaster(fromCMYK(m)), photo: true}, nil
	case *image.RGBA:
		return &source{raster: rgbaRaster(m), photo: true}, nil
	}
	return nil, jpeg.UnsupportedError("color model")
}

// fromCMYK converts in place: both have four bytes for a pixel.
func fromCMYK(m *image.CMYK) *image.RGBA {
	for p := m.Pix; len(p) >= 4; p = p[4:] {
		p[0], p[1], p[2] = color.CMYKToRGB(p[0], p[1], p[2], p[3])
		p[3] = 255
	}
	return &image.RGBA{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect}
}
