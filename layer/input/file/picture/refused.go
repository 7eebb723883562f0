package picture

// A Refused is why a picture is not taken. It says nothing that came from the picture, so it may be shown, logged and counted.
type Refused struct {
	Name   string // one of a closed vocabulary, for programs
	Public string // a sentence for the person who sent it
}

// Error implements error.
func (r *Refused) Error() string { return "picture refused: " + r.Name }

// Known finds a refusal by its name. A process that lets another one render believes of its answer only the name, and this table.
func Known(name string) (*Refused, bool) {
	public := reason(name).public()
	if public == "" {
		return nil, false
	}
	return &Refused{name, public}, true
}

// Foreign refuses what begins like a picture of a format that is known but not taken, by that format's name. It is nil for all else.
func Foreign(head []byte) *Refused {
	if why := foreign(head); why != "" {
		return refused(why)
	}
	return nil
}

func refused(why reason) *Refused { return &Refused{string(why), why.public()} }

// A reason is a name of the vocabulary; empty is none.
type reason string

const (
	tooManyBytes      reason = "too_many_bytes"
	unknownFormat     reason = "unknown_format"
	isHEIC            reason = "heic"
	isAVIF            reason = "avif"
	isJPEGXL          reason = "jpeg_xl"
	isJPEG2000        reason = "jpeg_2000"
	isSVG             reason = "svg"
	isTIFF            reason = "tiff"
	isBMP             reason = "bmp"
	isICO             reason = "ico"
	animatedWebP      reason = "animated_webp"
	empty             reason = "empty"
	tooWide           reason = "too_wide"
	tooManyPixels     reason = "too_many_pixels"
	tooManyFrames     reason = "too_many_frames"
	tooManyScans      reason = "too_many_scans"
	truncated         reason = "truncated"
	notDecodable      reason = "not_decodable"
	unsupported       reason = "unsupported"
	decoderFailed     reason = "decoder_failed"
	notEncodable      reason = "not_encodable"
	impossibleVariant reason = "impossible_variant"
)

// public is the sentence that people read. It is empty for what is not in the vocabulary.
func (r reason) public() string {
	switch r {
	case tooManyBytes:
		return "The picture's file is too large."
	case unknownFormat:
		return "This is not a picture that can be taken. JPEG, PNG, GIF and WebP can."
	case isHEIC:
		return "HEIC pictures cannot be taken; save it as JPEG."
	case isAVIF:
		return "AVIF pictures cannot be taken; save it as JPEG."
	case isJPEGXL:
		return "JPEG XL pictures cannot be taken; save it as JPEG."
	case isJPEG2000:
		return "JPEG 2000 pictures cannot be taken; save it as JPEG."
	case isSVG:
		return "SVG drawings cannot be taken, as they may contain programs; save it as PNG."
	case isTIFF:
		return "TIFF pictures cannot be taken; save it as JPEG."
	case isBMP:
		return "BMP pictures cannot be taken; save it as PNG."
	case isICO:
		return "Icons cannot be taken; save it as PNG."
	case animatedWebP:
		return "Animated WebP pictures cannot be taken; save it as GIF."
	case empty:
		return "The picture has no width or no height."
	case tooWide:
		return "The picture is too wide or too high."
	case tooManyPixels:
		return "The picture has too many pixels; make it smaller."
	case tooManyFrames:
		return "The animation is too long; make it shorter or smaller."
	case tooManyScans:
		return "The picture is stored in too many passes; save it again as JPEG."
	case truncated:
		return "The picture is incomplete: its file was cut short."
	case notDecodable:
		return "The picture is damaged and cannot be read."
	case unsupported:
		return "The picture is of a rare kind that cannot be read; save it again as JPEG or PNG."
	case decoderFailed:
		return "The picture cannot be read."
	case notEncodable:
		return "The picture cannot be written in this size."
	case impossibleVariant:
		return "The picture was asked for in a size that there is not."
	}
	return ""
}
