package picture_test

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"io"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

// deflated is a zlib stream.
func deflated(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

// allocated counts what a function takes from the heap, whether it gives it back or not.
func allocated(f func()) int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64() - before)
}

// gifHeader begins a GIF of two colours; a frame is put into it by frameOf.
func gifHeader(w, h uint16) []byte {
	out := binary.LittleEndian.AppendUint16([]byte("GIF89a"), w)
	return append(binary.LittleEndian.AppendUint16(out, h), 0x80, 0, 0, 0, 0, 0, 255, 255, 255)
}

// frameOf is a frame whose data ends after its first code.
func frameOf(w, h uint16) []byte {
	out := binary.LittleEndian.AppendUint16([]byte{0x2c, 0, 0, 0, 0}, w)
	return append(binary.LittleEndian.AppendUint16(out, h), 0, 2, 1, 0x2c, 0)
}

// pngHeader begins a PNG.
func pngHeader(w, h uint32, depth, kind, interlace byte) []byte {
	body := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	return append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", string(append(body, depth, kind, 0, 0, interlace)))...)
}

// jpegHeader begins a JPEG, baseline or progressive, without subsampling.
func jpegHeader(marker byte, w, h uint16) []byte {
	frame := binary.BigEndian.AppendUint16([]byte{marker, 8}, h)
	frame = append(binary.BigEndian.AppendUint16(frame, w), 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0)
	return withSegments([]byte("\xff\xd8\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x00\x00\xff\xd9"), string(frame))
}

// scanned repeats the first scan of a JPEG, in which no restart marker is.
func scanned(data []byte, times int) []byte {
	at := bytes.Index(data, []byte{0xff, 0xda})
	end := at + 2
	for data[end] != 0xff || data[end+1] == 0 {
		end++
	}
	return slices.Concat(data[:end], bytes.Repeat(data[at:end], times), data[end:])
}

// resizedHeader changes the size that a JPEG's frame header tells.
func resizedHeader(data []byte, marker byte, w, h uint16) []byte {
	out := slices.Clone(data)
	at := bytes.Index(out, []byte{0xff, marker})
	binary.BigEndian.PutUint16(out[at+5:], h)
	binary.BigEndian.PutUint16(out[at+7:], w)
	return out
}

func vp8l(w, h uint32) string {
	return "VP8L/" + string(binary.LittleEndian.AppendUint32(nil, w-1|(h-1)<<14)) + "\x00\x00"
}

func vp8(w, h uint16) string {
	return "VP8 \x10\x00\x00\x9d\x01\x2a" + string(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, w), h))
}

// TestBombs makes files of hundreds of bytes that ask for gigabytes, or for minutes. Each must be refused by name before a decoder
// has taken memory for it.
func TestBombs(t *testing.T) { // SYSTEM N2
	frames := func(n int, w, h uint16) []byte {
		return append(append(gifHeader(w, h), bytes.Repeat(frameOf(1, 1), n)...), 0x3b)
	}
	const much = 64 << 20
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"a GIF of 31 bytes with a frame of 16,384 by 16,384", append(gifHeader(16384, 16384), frameOf(16384, 16384)...), "too_many_pixels"},
		{"a GIF of 65,535 by 65,535", append(gifHeader(65535, 65535), frameOf(1, 1)...), "too_wide"},
		{"a GIF of ten thousand frames", frames(10000, 16, 16), "too_many_frames"},
		{"a GIF of many frames of one pixel in a large picture", frames(150, 4000, 4000), "too_many_frames"},
		{"a PNG of 65,535 by 65,535", pngHeader(65535, 65535, 8, 6, 0), "too_wide"},
		{"a PNG of 16,384 by 16,384 with one bit each", pngHeader(16384, 16384, 1, 0, 0), "too_many_pixels"},
		{"a PNG of two thousand million by one", pngHeader(1<<31-1, 1, 8, 6, 0), "too_wide"},
		{"a PNG of more than that", pngHeader(1<<31, 1<<31, 8, 6, 0), "not_decodable"},
		{"a PNG of sixteen bits, interlaced, as large as others may be", pngHeader(8000, 6000, 16, 6, 1), "too_many_pixels"},
		{"a PNG that goes on after its last pixel", append(append(pngHeader(1, 1, 8, 0, 0), chunk("IDAT", deflated(strings.Repeat("\x00", much)))...), chunk("IEND", "")...), "not_decodable"},
		{"a JPEG of 65,535 by 65,535", jpegHeader(0xc0, 65535, 65535), "too_wide"},
		{"a JPEG of 16,384 by 16,384", jpegHeader(0xc0, 16384, 16384), "too_many_pixels"},
		{"a progressive JPEG in full colour, as large as others may be", jpegHeader(0xc2, 8000, 6000), "too_many_pixels"},
		{"a progressive JPEG of a thousand scans", scanned(file(t, "progressive.jpg"), 1000), "too_many_scans"},
		{"a large progressive JPEG of forty scans", resizedHeader(scanned(file(t, "progressive.jpg"), 40), 0xc2, 5000, 5000), "too_many_scans"},
		{"a JPEG that is drawn ten times", scanned(jpegOf(scene(false)), 9), "too_many_scans"},
		{"a JPEG of five thousand segments", withSegments(jpegOf(scene(false)), slices.Repeat([]string{"\xfe"}, 5000)...), "not_decodable"},
		{"a WebP of 16,384 by 16,384", riff(vp8l(16384, 16384)), "too_many_pixels"},
		{"a lossy WebP of 16,383 by 16,383", riff(vp8(16383, 16383)), "too_many_pixels"},
		{"a small WebP in a frame of millions", riff("VP8X\x10\x00\x00\x00\xff\xff\x7f\xff\x00\x00", "ALPH\x00", vp8(24, 16)), "not_decodable"},
		{"a WebP with opacity, as large as others may be", riff("VP8X\x10\x00\x00\x00\x0f\x27\x00\x0f\x27\x00", "ALPH\x01", vp8(10000, 10000)), "too_many_pixels"},
		{"a WebP that moves", file(t, "animated.webp"), "animated_webp"},
		{"a WebP that moves and does not say so", riff("ANMF" + strings.Repeat("\x00", 16)), "animated_webp"},
	} {
		var got string
		took := allocated(func() { got = refusedAs(t, c.data, picture.Limits{}, whole) })
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if took > 1<<20 {
			t.Errorf("%s: took %d bytes", c.name, took)
		}
	}
}

// TestWhatTheBombsDoElsewhere is the attack itself, on decoders that nobody stands in front of, at a size that a test can bear.
func TestWhatTheBombsDoElsewhere(t *testing.T) {
	bomb := append(gifHeader(8192, 8192), frameOf(8192, 8192)...)
	if took := allocated(func() { gif.Decode(bytes.NewReader(bomb)) }); took < 64<<20 {
		t.Errorf("%d bytes of GIF take %d: the bomb is none", len(bomb), took)
	}
	many := scanned(file(t, "progressive.jpg"), 1000)
	if m, err := jpeg.Decode(bytes.NewReader(many)); err != nil {
		t.Errorf("a thousand scans are not decoded: %v, %v", m, err)
	}
	packed := deflated(strings.Repeat("\x00", 64<<20))
	n, err := io.Copy(io.Discard, must(zlib.NewReader(strings.NewReader(packed))))
	if err != nil || n < 500*int64(len(packed)) {
		t.Errorf("%d bytes unpack to %d: %v", len(packed), n, err)
	}
}

// TestBombsInMetadata are pictures that are taken, as what explodes in them is not looked at.
func TestBombsInMetadata(t *testing.T) { // SYSTEM N2
	packed := deflated(strings.Repeat("\x00", 64<<20))
	loop := "II*\x00\x08\x00\x00\x00\x01\x00\x69\x87\x04\x00\x01\x00\x00\x00\x08\x00\x00\x00\x08\x00\x00\x00" // all offsets lead back
	many := "II*\x00\x08\x00\x00\x00\xff\xff" + strings.Repeat("\x00\x00\x03\x00\x01\x00\x00\x00\x00\x00\x00\x00", 5000)
	for name, data := range map[string][]byte{
		"packed text":                      withChunks(pngOf(scene(false)), "zTXtComment\x00\x00"+packed, "iTXtComment\x00\x01\x00\x00\x00"+packed),
		"a packed profile":                 withChunks(pngOf(scene(false)), "iCCPname\x00\x00"+packed),
		"a hundred packed profiles":        withChunks(pngOf(scene(false)), slices.Repeat([]string{"iCCPname\x00\x00" + packed}, 100)...),
		"a profile whose name has no end":  withChunks(pngOf(scene(false)), "iCCP"+strings.Repeat("x", 100)),
		"thirty megabytes of EXIF":         withSegments(jpegOf(scene(false)), slices.Repeat([]string{"\xe1Exif\x00\x00" + many}, 500)...),
		"EXIF that leads to itself":        withSegments(jpegOf(scene(false)), "\xe1Exif\x00\x00"+loop),
		"EXIF that begins at its own end":  withSegments(jpegOf(scene(false)), "\xe1Exif\x00\x00II*\x00\x08\x00\x00\x00"),
		"EXIF that begins at its header":   withSegments(jpegOf(scene(false)), "\xe1Exif\x00\x00II*\x00\x00\x00\x00\x00"),
		"EXIF that begins behind the file": withSegments(jpegOf(scene(false)), "\xe1Exif\x00\x00MM\x00*\xff\xff\xff\xff\x00"),
		"EXIF of more than it has":         withSegments(jpegOf(scene(false)), "\xe1Exif\x00\x00"+many[:100]),
		"EXIF that is none":                withChunks(pngOf(scene(false)), "eXIf"+strings.Repeat("\xff", 1000)),
	} {
		var r picture.Rendition
		if took := allocated(func() { r = rendered(t, data, whole) }); took > 20<<20 {
			t.Errorf("%s: took %d bytes", name, took)
		}
		if r.Width != 24 || r.Height != 16 {
			t.Errorf("%s: %dx%d", name, r.Width, r.Height)
		}
	}
}

const (
	secret = "59.3293N 18.0686E serial 4711"
	script = "<script>alert(document.domain)</script><?php system($_GET[0]); ?>"
)

// TestNothingComesThroughButThePicture hides things in every place that a file of each format has, beside the pixels.
func TestNothingComesThroughButThePicture(t *testing.T) { // SYSTEM N2
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	must(must(z.Create("evil.html")).Write([]byte(script)))
	must(0, z.Close())
	xmp := "http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>" + secret
	located := exif(binary.LittleEndian, 1) + secret
	commented := func(g []byte) []byte { // behind header and colours, in two kinds of extension
		at := 13 + int(g[10]>>7)*3<<(1+g[10]&7)
		return slices.Concat(g[:at], []byte("\x21\xfe"), []byte{byte(len(script))}, []byte(script), []byte("\x00\x21\xff\x0bXMP DataXMP"), []byte{byte(len(secret))}, []byte(secret), []byte{0}, g[at:])
	}
	palette := image.NewPaletted(image.Rect(0, 0, 40, 40), color.Palette{color.Black, color.White})
	for i := 0; i+3 <= len(script); i += 3 {
		palette.Palette = append(palette.Palette, color.RGBA{script[i], script[i+1], script[i+2], 255})
	}
	moving := animationOf(3, 24, 16)
	moving.Image[1] = palette.SubImage(image.Rect(0, 0, 24, 16)).(*image.Paletted)
	everything := image.NewPaletted(image.Rect(0, 0, 40, 40), palette.Palette)
	for i := range everything.Pix {
		everything.Pix[i] = uint8(i % len(palette.Palette))
	}
	cases := map[string][]byte{
		"a JPEG with all metadata": withSegments(jpegOf(scene(false)), "\xe0JFIF\x00"+secret, "\xe1Exif\x00\x00"+located, "\xe1"+xmp,
			"\xe2ICC_PROFILE\x00\x01\x01"+secret, "\xe2MPF\x00"+secret, "\xedPhotoshop 3.0\x00"+secret, "\xee"+secret, "\xfe"+script),
		"a PDF in a JPEG's comment":   append(withSegments(jpegOf(scene(false)), "\xfe%PDF-1.7\n"+script), "%%EOF"...),
		"an archive behind a JPEG":    append(jpegOf(scene(false)), archive.Bytes()...),
		"an archive in a JPEG":        withSegments(jpegOf(scene(false)), "\xe4"+archive.String()),
		"another JPEG behind a JPEG":  append(jpegOf(scene(false)), withSegments(jpegOf(noise(9, 9)), "\xfe"+secret)...),
		"a page behind a JPEG":        append(jpegOf(scene(false)), "<!DOCTYPE html>"+script...),
		"noise within a JPEG":         bytes.Replace(jpegOf(scene(false)), []byte{0xff, 0xc4}, []byte(script+"\xff\xff\xc4"), 1),
		"a PNG with all metadata":     withChunks(pngOf(scene(false)), "eXIf"+located, "tEXtComment\x00"+script, "zTXtC\x00\x00"+deflated(secret), "iTXtXML:com.adobe.xmp\x00\x00\x00\x00\x00"+xmp, "tIME\x07\xe9\x01\x01\x00\x00\x00", "iCCPname\x00\x00"+deflated(secret), "prVt"+script),
		"a page behind a PNG":         append(pngOf(scene(false)), script...),
		"an archive behind a PNG":     append(pngOf(scene(false)), archive.Bytes()...),
		"a script in a PNG's palette": pngOf(palette),
		"and each of its colours":     pngOf(everything),
		"a GIF with all metadata":     commented(gifOf(animationOf(1, 24, 16))),
		"an animation with metadata":  commented(gifOf(animationOf(3, 24, 16))),
		"a script in an animation":    gifOf(moving),
		"an archive behind a GIF":     append(gifOf(animationOf(2, 24, 16)), archive.Bytes()...),
		"a GIF that is JavaScript":    append(commented(gifOf(animationOf(1, 0x2a2f, 1))), "*/=1;"+script...),
		"a WebP with all metadata":    extended(file(t, "lossy.webp"), 0x2c, []string{"ICCP" + secret}, []string{"EXIF" + located, "XMP " + xmp, "evil" + script}),
		"an archive behind a WebP":    append(file(t, "lossless.webp"), archive.Bytes()...),
	}
	for name, data := range cases {
		for _, v := range []picture.Variant{whole, small, thumb} {
			r := rendered(t, data, v)
			for _, hidden := range []string{secret, script, "<script", "<?php", "GIF89a/*", "evil", "PK\x03\x04", "%PDF", "Exif", "ICC_PROFILE", "xmp", "alert"} {
				if bytes.Contains(r.Data, []byte(hidden)) {
					t.Errorf("%s, %s: %q comes through", name, v.Name, hidden)
				}
			}
		}
	}
	for _, hidden := range []string{secret, script, "PK\x03\x04", "%PDF", "Exif", "ICC_PROFILE", "GIF89a/*"} { // they are in what came
		found := false
		for _, data := range cases {
			found = found || bytes.Contains(data, []byte(hidden))
		}
		if !found {
			t.Errorf("%q is hidden nowhere", hidden)
		}
	}
}

func TestRefusals(t *testing.T) { // SYSTEM N2
	broken := pngOf(scene(false))
	broken[40] ^= 1
	twelve := slices.Clone(jpegOf(scene(false)))
	twelve[bytes.Index(twelve, []byte{0xff, 0xc0})+4] = 12
	arithmetic := bytes.Replace(jpegOf(scene(false)), []byte{0xff, 0xc0}, []byte{0xff, 0xc9}, 1)
	noAdobe := bytes.Replace(file(t, "cmyk.jpg"), []byte("Adobe"), []byte("adobe"), 1)
	box := func(brands string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(brands)+8)), "ftyp"+brands+strings.Repeat("\x00", 20)...)
	}
	for _, c := range []struct{ name, data, want string }{
		{"nothing", "", "unknown_format"},
		{"two bytes", "\xff\xd8", "unknown_format"},
		{"a page", "<!DOCTYPE html>" + script, "unknown_format"},
		{"a PDF", "%PDF-1.7", "unknown_format"},
		{"an archive", "PK\x03\x04", "unknown_format"},
		{"a RIFF that is sound", "RIFF\x24\x00\x00\x00WAVEfmt ", "unknown_format"},
		{"a drawing", "<svg xmlns='http://www.w3.org/2000/svg'>" + script, "svg"},
		{"a drawing that begins politely", "\ufeff \n<?xml version='1.0'?><!-- x --><SVG>", "svg"},
		{"HEIC", string(box("heic\x00\x00\x00\x00mif1heic")), "heic"},
		{"HEIC of general brand", string(box("mif1\x00\x00\x00\x00heic")), "heic"},
		{"AVIF", string(box("avif\x00\x00\x00\x00mif1")), "avif"},
		{"AVIF of general brand", string(box("mif1\x00\x00\x00\x00avif")), "avif"},
		{"a film", string(box("isom\x00\x00\x00\x00mp42")), "unknown_format"},
		{"JPEG XL", "\xff\x0a", "jpeg_xl"},
		{"JPEG XL in boxes", "\x00\x00\x00\x0cJXL \r\n\x87\n", "jpeg_xl"},
		{"JPEG 2000", "\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg_2000"},
		{"TIFF", "II*\x00\x08\x00\x00\x00", "tiff"},
		{"TIFF the other way", "MM\x00*\x00\x00\x00\x08", "tiff"},
		{"BMP", "BM\x00\x00\x00\x00", "bmp"},
		{"an icon", "\x00\x00\x01\x00\x01\x00", "ico"},
		{"a JPEG in a PNG's name", "\x89PNG\r\n\x1a\n" + string(jpegOf(scene(false))), "not_decodable"},
		{"a PNG in a JPEG's name", "\xff\xd8\xff" + string(pngOf(scene(false))), "truncated"},
		{"a page in a GIF's name", "GIF89a" + script, "too_wide"},
		{"a damaged PNG", string(broken), "not_decodable"},
		{"a PNG of no width", string(append(pngHeader(0, 5, 8, 6, 0), chunk("IEND", "")...)), "empty"},
		{"a PNG of two headers", string(withChunks(pngOf(scene(false)), "IHDR"+strings.Repeat("\x00", 13))), "not_decodable"},
		{"a JPEG of no height", string(jpegHeader(0xc0, 5, 0)), "empty"},
		{"a GIF without a frame", string(append(gifHeader(5, 5), 0x3b)), "not_decodable"},
		{"a GIF whose frame is larger than it", string(append(append(gifHeader(5, 5), frameOf(6, 5)...), 0x3b)), "not_decodable"},
		{"a GIF whose frame is empty", string(append(append(gifHeader(5, 5), frameOf(0, 5)...), 0x3b)), "not_decodable"},
		{"a GIF whose data is too short", string(append(append(gifHeader(5, 5), frameOf(5, 5)...), 0x3b)), "not_decodable"},
		{"a WebP without a picture", string(riff("EXIF")), "not_decodable"},
		{"a WebP of no width", string(riff(vp8(0, 9))), "empty"},
		{"a JPEG of twelve bits", string(twelve), "unsupported"},
		{"a JPEG of arithmetic coding", string(arithmetic), "unsupported"},
		{"a JPEG of four colours that nobody names", string(noAdobe), "unsupported"},
		{"a JPEG of two sizes", string(withSegments(jpegOf(scene(false)), "\xc0\x08\x00\x10\x00\x10\x01\x01\x11\x00")), "not_decodable"},
	} {
		if got := refusedAs(t, []byte(c.data), picture.Limits{}, whole); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		foreign := picture.Foreign([]byte(c.data))
		if _, taken := picture.Detect([]byte(c.data)); taken && foreign != nil || !taken && c.want != "unknown_format" && (foreign == nil || foreign.Name != c.want) {
			t.Errorf("%s: before it is decoded, it is refused as %v", c.name, foreign)
		}
	}
}

func TestLimitsAreExact(t *testing.T) { // SYSTEM N2
	png100 := pngOf(even(100, 50, color.Black))
	moving := gifOf(animationOf(5, 10, 10))
	for _, c := range []struct {
		name string
		data []byte
		l    picture.Limits
		want string
	}{
		{"as many bytes", png100, picture.Limits{Bytes: int64(len(png100))}, ""},
		{"a byte too many", png100, picture.Limits{Bytes: int64(len(png100)) - 1}, "too_many_bytes"},
		{"as wide", png100, picture.Limits{Side: 100}, ""},
		{"a pixel too wide", png100, picture.Limits{Side: 99}, "too_wide"},
		{"as many pixels", png100, picture.Limits{Pixels: 5000}, ""},
		{"a pixel too many", png100, picture.Limits{Pixels: 4999}, "too_many_pixels"},
		{"as many frames", moving, picture.Limits{Frames: 5}, ""},
		{"a frame too many", moving, picture.Limits{Frames: 4}, "too_many_frames"},
		{"as many pixels in frames", moving, picture.Limits{FramePixels: 500}, ""},
		{"a pixel in frames too many", moving, picture.Limits{FramePixels: 499}, "too_many_frames"},
		{"wider than files say", pngHeader(65536, 1, 8, 6, 0), picture.Limits{Side: 1 << 20}, "too_wide"},
		{"64 scans", scanned(file(t, "progressive.jpg"), 64-10), picture.Limits{}, ""},
		{"65 scans", scanned(file(t, "progressive.jpg"), 65-10), picture.Limits{}, "too_many_scans"},
	} {
		if got := refusedAs(t, c.data, c.l, whole); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestImpossibleVariants(t *testing.T) {
	many := make([]picture.Variant, picture.MaxVariants+1)
	for i := range many {
		many[i] = picture.Variant{Name: fmt.Sprint(i), Width: 5, Height: 5}
	}
	data := jpegOf(scene(false))
	for name, c := range map[string]struct {
		variants []picture.Variant
		want     string
	}{
		"as many as may be": {many[1:], ""},
		"one too many":      {many, "impossible_variant"},
		"none":              {nil, "impossible_variant"},
		"the same twice":    {[]picture.Variant{small, small}, "impossible_variant"},
		"no width":          {[]picture.Variant{{Height: 5}}, "impossible_variant"},
		"no height":         {[]picture.Variant{{Width: 5}}, "impossible_variant"},
		"below zero":        {[]picture.Variant{{Width: -5, Height: 5}}, "impossible_variant"},
		"too wide":          {[]picture.Variant{{Width: 65536, Height: 5}}, "impossible_variant"},
	} {
		if got := refusedAs(t, data, picture.Limits{}, c.variants...); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestAPictureThatIsCutShortIsRefused takes every beginning of a file of each form.
func TestAPictureThatIsCutShortIsRefused(t *testing.T) { // SYSTEM N2
	for name, data := range seeds(t) {
		if got := refusedAs(t, data, picture.Limits{}, small); got != "" {
			t.Fatalf("%s: the whole of it is refused: %s", name, got)
		}
		for n := range len(data) {
			if got := refusedAs(t, data[:n], picture.Limits{}, small); got == "" {
				t.Errorf("%s: %d of %d bytes are taken", name, n, len(data))
				break
			}
		}
	}
}

func TestAPanicIsARefusal(t *testing.T) { // SYSTEM N2
	for _, value := range []any{"out of range", errors.New(secret), new(runtime.PanicNilError)} {
		made, err := picture.Guarded(func() ([]picture.Rendition, error) { panic(value) })
		if r, ok := errors.AsType[*picture.Refused](err); !ok || r.Name != picture.DecoderFailed || made != nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%v: got %v, %v", value, made, err)
		}
	}
}

func TestEveryReasonHasItsSentence(t *testing.T) {
	said := map[string]bool{}
	for _, why := range picture.Reasons {
		r, ok := picture.Known(string(why))
		if !ok || r.Name != string(why) || r.Public == "" || said[r.Public] {
			t.Errorf("%q says %v", why, r)
			continue
		}
		said[r.Public] = true
	}
	if r, ok := picture.Known("<script>"); ok || r != nil {
		t.Error("what is not in the vocabulary is known")
	}
	if r, ok := picture.Known(""); ok || r != nil {
		t.Error("nothing is known")
	}
	want := "HEIC pictures cannot be taken; save it as JPEG."
	if got, _ := picture.Known("heic"); got.Public != want {
		t.Errorf("got %q, want %q", got.Public, want)
	}
}

// fixed puts the checksums of a PNG right, so that a change gets past them.
func fixed(data []byte) []byte {
	for at := 8; at+12 <= len(data); {
		n := int64(binary.BigEndian.Uint32(data[at:]))
		if n > int64(len(data)-at-12) {
			break
		}
		end := at + 8 + int(n)
		binary.BigEndian.PutUint32(data[end:], crc32.ChecksumIEEE(data[at+4:end]))
		at = end + 4
	}
	return data
}
