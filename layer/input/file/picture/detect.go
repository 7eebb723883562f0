package picture

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

const (
	pngMagic = "\x89PNG\r\n\x1a\n" // PNG, third edition, 5.2
	headSize = 512                 // of the bytes that Foreign looks at
)

// Detect tells by its first bytes, twelve suffice, as what a file has to be decoded. That it can be decoded they do not tell.
func Detect(head []byte) (Format, bool) {
	begins := func(magic string) bool { return strings.HasPrefix(string(head[:min(len(head), 12)]), magic) }
	switch {
	case begins("\xff\xd8\xff"):
		return JPEG, true
	case begins(pngMagic):
		return PNG, true
	case begins("GIF87a"), begins("GIF89a"):
		return GIF, true
	case begins("RIFF") && len(head) >= 12 && string(head[8:12]) == "WEBP":
		return WebP, true
	}
	return "", false
}

// foreign tells formats that are not taken, so that the refusal helps. Nobody relies on it for more.
func foreign(head []byte) reason {
	head = head[:min(len(head), headSize)]
	for _, f := range []struct {
		magic string
		is    reason
	}{
		{"II*\x00", isTIFF}, {"MM\x00*", isTIFF}, {"II+\x00", isTIFF}, {"MM\x00+", isTIFF},
		{"\xff\x0a", isJPEGXL}, {"\x00\x00\x00\x0cJXL \r\n\x87\n", isJPEGXL},
		{"\x00\x00\x00\x0cjP  \r\n\x87\n", isJPEG2000}, {"\xff\x4f\xff\x51", isJPEG2000},
		{"\x00\x00\x01\x00", isICO}, {"\x00\x00\x02\x00", isICO}, {"BM", isBMP},
	} {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return f.is
		}
	}
	if why := isobmff(head); why != "" {
		return why
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	if bytes.HasPrefix(text, []byte("<")) && bytes.Contains(bytes.ToLower(text), []byte("<svg")) {
		return isSVG
	}
	return ""
}

// isobmff reads the brands of a file of boxes: HEIC and AVIF differ by them alone (ISO/IEC 23008-12, 10; AV1 Image File Format, 6).
func isobmff(head []byte) reason {
	if len(head) < 16 || string(head[4:8]) != "ftyp" {
		return ""
	}
	size := min(int64(binary.BigEndian.Uint32(head)), int64(len(head)))
	var brands []string
	for at := int64(8); at+4 <= size; at += 4 {
		if at != 12 { // the minor version
			brands = append(brands, string(head[at:at+4]))
		}
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(brands, func(b string) bool { return slices.Contains(names, b) })
	}
	switch {
	case has("avif", "avis"):
		return isAVIF
	case has("heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"):
		return isHEIC
	}
	return ""
}
