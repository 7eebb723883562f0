package picture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

// scene is the picture of most tests, and of the files in testdata: 24 by 16, a gradient, a blue field in the upper right corner.
func scene(see bool) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, 24, 16))
	for y := range 16 {
		for x := range 24 {
			c := color.NRGBA{uint8(250 - 8*x), uint8(10 * y), 60, 255}
			if x >= 16 && y < 8 {
				c = color.NRGBA{20, 40, 230, 255}
			}
			if see && y >= 8 {
				c.A = uint8(255 - 30*(y-8))
			}
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

// noise is what a camera might see of nothing: no pixel is like another.
func noise(w, h int) *image.NRGBA {
	m, r := image.NewNRGBA(image.Rect(0, 0, w, h)), rand.New(rand.NewPCG(1, 2))
	for i := range m.Pix {
		m.Pix[i] = uint8(r.Uint32())
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	return m
}

// even is a picture of one colour.
func even(w, h int, c color.Color) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, c)
		}
	}
	return m
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// file reads from testdata, where the forms are that the standard library does not write. They are scene, saved by libvips:
//
//	vips jpegsave scene.png progressive.jpg --interlace --strip --subsample-mode on -Q 90     (progressive444.jpg: off)
//	vips colourspace scene.png c.v cmyk && vips jpegsave c.v cmyk.jpg --strip -Q 90
//	vips pngsave scene.png interlaced.png --interlace --strip
//	vips webpsave scene.png lossy.webp -Q 90        (lossless.webp: --lossless; alpha….webp: of the scene that one sees through)
//
// of which the metadata that it writes all the same was taken out.
func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func jpegOf(m image.Image) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func pngOf(m image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func gifOf(g *gif.GIF) []byte {
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// animationOf is n frames of w by h, each a little different.
func animationOf(n, w, h int) *gif.GIF {
	g := &gif.GIF{}
	for i := range n {
		m := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.RGBA{0, 0, 0, 255}, color.RGBA{250, 0, 0, 255}, color.RGBA{0, 0, 250, 255}})
		for j := range m.Pix {
			m.Pix[j] = uint8((j/3 + i) % 3)
		}
		g.Image, g.Delay = append(g.Image, m), append(g.Delay, 7+i)
	}
	return g
}

// withSegments puts segments at the beginning of a JPEG, each a marker and its content.
func withSegments(data []byte, segments ...string) []byte {
	out := slices.Clone(data[:2])
	for _, s := range segments {
		out = append(out, 0xff, s[0])
		out = binary.BigEndian.AppendUint16(out, uint16(len(s)+1))
		out = append(out, s[1:]...)
	}
	return append(out, data[2:]...)
}

func chunk(kind, body string) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, kind...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// withChunks puts chunks behind the header of a PNG; each is four letters and its content.
func withChunks(data []byte, chunks ...string) []byte {
	out := slices.Clone(data[:33])
	for _, c := range chunks {
		out = append(out, chunk(c[:4], c[4:])...)
	}
	return append(out, data[33:]...)
}

func riff(chunks ...string) []byte {
	body := []byte("WEBP")
	for _, c := range chunks {
		body = append(body, c[:4]...)
		body = binary.LittleEndian.AppendUint32(body, uint32(len(c)-4))
		body = append(body, c[4:]...)
		if len(c)%2 == 1 {
			body = append(body, 0)
		}
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// extended gives a simple WebP of 24 by 16 the form with metadata (RFC 9649, 2.7).
func extended(data []byte, flags byte, before, after []string) []byte {
	n := binary.LittleEndian.Uint32(data[16:])
	pixels := string(data[12:16]) + string(data[20:20+n])
	chunks := append([]string{"VP8X" + string([]byte{flags, 0, 0, 0, 23, 0, 0, 15, 0, 0})}, before...)
	return riff(append(append(chunks, pixels), after...)...)
}

// exif is EXIF data with one orientation, in either order of bytes.
func exif(order binary.AppendByteOrder, orientation uint16) string {
	out := []byte("II*\x00")
	if order.String() == "BigEndian" {
		out = []byte("MM\x00*")
	}
	out = order.AppendUint32(out, 8)
	out = order.AppendUint16(out, 1)
	out = order.AppendUint16(order.AppendUint16(out, 0x0112), 3)
	out = order.AppendUint16(order.AppendUint32(out, 1), orientation)
	return string(order.AppendUint32(order.AppendUint16(out, 0), 0))
}

var (
	whole = picture.Variant{Name: "whole", Width: 2048, Height: 2048}
	small = picture.Variant{Name: "small", Width: 12, Height: 12}
	thumb = picture.Variant{Name: "thumb", Width: 8, Height: 8, Crop: true}
)

// rendered is the one rendition of a picture that must be taken.
func rendered(t testing.TB, data []byte, v picture.Variant) picture.Rendition {
	t.Helper()
	made, err := picture.Render(data, picture.Limits{}, []picture.Variant{v})
	if err != nil {
		t.Fatalf("it is not taken: %v", err)
	}
	clean(t, made[0])
	return made[0]
}

func pixels(t testing.TB, r picture.Rendition) image.Image {
	t.Helper()
	m, name, err := image.Decode(bytes.NewReader(r.Data))
	if err != nil || name != string(r.Format) || m.Bounds() != image.Rect(0, 0, r.Width, r.Height) && r.Frames == 1 {
		t.Fatalf("%s: a %s of %dx%d is %s of %v: %v", r.Variant, r.Format, r.Width, r.Height, name, m.Bounds(), err)
	}
	return m
}

// refusedAs is the name of the refusal, and empty for a picture that is taken, of which all must be clean.
func refusedAs(t testing.TB, data []byte, l picture.Limits, variants ...picture.Variant) string {
	t.Helper()
	made, err := picture.Render(data, l, variants)
	if err == nil {
		for _, r := range made {
			clean(t, r)
		}
		return ""
	}
	r, ok := errors.AsType[*picture.Refused](err)
	if !ok || made != nil || r.Public == "" || r.Error() != "picture refused: "+r.Name {
		t.Fatalf("not a refusal, or with a picture: %#v", err)
	}
	if known, ok := picture.Known(r.Name); !ok || *known != *r {
		t.Errorf("%q is not of the vocabulary", r.Name)
	}
	return r.Name
}

// clean looks at a file's parts by code of its own: the image and nothing else, to the last byte.
func clean(t testing.TB, r picture.Rendition) {
	t.Helper()
	pixels(t, r)
	parts, ok := map[picture.Format]func([]byte) (string, bool){
		picture.JPEG: partsJPEG, picture.PNG: partsPNG, picture.GIF: partsGIF}[r.Format]
	if !ok {
		t.Fatalf("%s was written", r.Format)
	}
	got, ended := parts(r.Data)
	allowed := map[picture.Format]string{picture.JPEG: "DQT SOF DHT SOS", picture.PNG: "IHDR PLTE tRNS IDAT IEND", picture.GIF: "control frame loop"}
	for p := range strings.FieldsSeq(got) {
		if !slices.Contains(strings.Fields(allowed[r.Format]), p) {
			t.Errorf("a %s has a part that is no picture: %s", r.Format, p)
		}
	}
	if !ended {
		t.Errorf("something follows a %s, or its end is missing: %s", r.Format, got)
	}
}

func partsJPEG(b []byte) (parts string, ended bool) {
	names := map[byte]string{0xdb: "DQT", 0xc0: "SOF", 0xc4: "DHT", 0xda: "SOS"}
	for b = b[2:]; len(b) >= 4 && b[0] == 0xff && b[1] != 0xda; b = b[2+int(binary.BigEndian.Uint16(b[2:])):] {
		parts += " " + cmpOr(names[b[1]], "other")
	}
	return parts, bytes.Index(b[2:], []byte{0xff, 0xd9}) == len(b)-4
}

func partsPNG(b []byte) (parts string, ended bool) {
	for b = b[8:]; len(b) >= 12; {
		kind := string(b[4:8])
		parts += " " + kind
		b = b[12+binary.BigEndian.Uint32(b):]
		if kind == "IEND" {
			break
		}
	}
	return parts, len(b) == 0
}

func partsGIF(b []byte) (parts string, ended bool) {
	table := func(fields byte) int { return int(fields>>7) * 3 << (1 + fields&7) }
	at := 13 + table(b[10])
	for at < len(b) && b[at] != 0x3b {
		switch {
		case b[at] == 0x2c:
			parts += " frame"
			at += 11 + table(b[at+9])
		case b[at+1] == 0xf9:
			parts += " control"
			at += 2
		case string(b[at+1:at+14]) == "\xff\x0bNETSCAPE2.0"[:13]:
			parts += " loop"
			at += 2
		default:
			return parts + " other", false
		}
		for b[at] != 0 {
			at += 1 + int(b[at])
		}
		at++
	}
	return parts, at == len(b)-1
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
