package picture

// OrientationOf and WideGamut let tests ask the parsers of metadata alone, and Guarded panic where no decoder does.
var (
	OrientationOf = orientationOf
	WideGamut     = wideGamut
	Guarded       = guarded
)

// DecoderFailed is what a panic becomes.
const DecoderFailed = string(decoderFailed)

// Reasons is the whole vocabulary.
var Reasons = []reason{tooManyBytes, unknownFormat, isHEIC, isAVIF, isJPEGXL, isJPEG2000, isSVG, isTIFF, isBMP, isICO, animatedWebP, empty,
	tooWide, tooManyPixels, tooManyFrames, tooManyScans, truncated, notDecodable, unsupported, decoderFailed, notEncodable, impossibleVariant}
