package picture

import (
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"io"
)

// maxSide is the longest side that JPEG and GIF can express.
const maxSide = 65535

// A survey is what a file's own structure says, read without decoding anything: no more work than to skip from part to part. The
// decoders are asked only after it fits the limits, since they take memory and time by what a header says.
type survey struct {
	width, height int
	memory        int64  // that the decoder will take
	frames        int    // of an animation; else 1
	scans         int    // of a JPEG
	progressive   bool   // a JPEG whose scans refine each other
	exif          []byte // from the TIFF header on
	icc           []byte // the colour profile
}

// check holds s to the limits. Products are of 64 bits and cannot overflow, as no side has more than 31.
func (s survey) check(l Limits) reason {
	pixels := int64(s.width) * int64(s.height)
	switch {
	case s.width < 1 || s.height < 1:
		return empty
	case s.width > min(l.Side, maxSide) || s.height > min(l.Side, maxSide):
		return tooWide
	case pixels > l.Pixels || s.memory > bytesPerPixel*l.Pixels:
		return tooManyPixels
	case s.frames > l.Frames, s.frames > 1 && int64(s.frames)*pixels > l.FramePixels:
		return tooManyFrames
	}
	return s.checkScans(l)
}

// checkScans refuses a JPEG that is decoded over and over again: every scan goes through the whole picture, and may be a few bytes
// long. Without progression each component has one. With it ten are usual, and the larger the picture, the fewer are allowed.
func (s survey) checkScans(l Limits) reason {
	const maxScans, scansOfLargest = 64, 16
	if s.scans <= 4 {
		return ""
	}
	if !s.progressive || s.scans > maxScans || int64(s.scans)*int64(s.width)*int64(s.height) > scansOfLargest*l.Pixels {
		return tooManyScans
	}
	return ""
}

// decode surveys, checks and decodes. A decoder has to agree with the survey about the size: what two readers understand differently
// is refused.
func decode(data []byte, l Limits) (*source, reason) {
	format, ok := Detect(data)
	if !ok {
		if why := foreign(data); why != "" {
			return nil, why
		}
		return nil, unknownFormat
	}
	c := codecs(format)
	s, why := c.survey(data)
	if bad := s.check(l); bad != "" && (why == "" || s.width > 0 && s.height > 0) { // the bomb, rather than that it is cut short
		return nil, bad
	}
	if why != "" {
		return nil, why
	}
	if cfg, err := c.config(data); err != nil || cfg.Width != s.width || cfg.Height != s.height {
		return nil, because(err)
	}
	src, err := c.decode(data)
	if err != nil || src.raster.width != s.width || src.raster.height != s.height || src.frames() != s.frames {
		return nil, because(err)
	}
	src.wide, src.orientation = wideGamut(s.icc), orientationOf(s.exif)
	return src, ""
}

// A codec reads one format.
type codec struct {
	survey func([]byte) (survey, reason)
	config func([]byte) (image.Config, error)
	decode func([]byte) (*source, error)
}

func codecs(f Format) codec {
	switch f {
	case JPEG:
		return codec{surveyJPEG, configJPEG, decodeJPEG}
	case PNG:
		return codec{surveyPNG, configPNG, decodePNG}
	case GIF:
		return codec{surveyGIF, configGIF, decodeGIF}
	}
	return codec{surveyWebP, configWebP, decodeWebP}
}

// because translates a decoder's error; its text may quote the file and goes no further.
func because(err error) reason {
	var j jpeg.UnsupportedError
	var p png.UnsupportedError
	switch {
	case errors.As(err, &j), errors.As(err, &p):
		return unsupported
	case errors.Is(err, io.ErrUnexpectedEOF):
		return truncated
	}
	return notDecodable
}
