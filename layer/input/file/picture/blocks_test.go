package picture_test

import (
	"encoding/binary"
	"fmt"
	"image/color"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

// A bitWriter writes a JPEG's scan (ITU-T T.81, F.1.2).
type bitWriter struct {
	out  []byte
	bits uint32
	n    int
}

func (w *bitWriter) put(v uint32, n int) {
	w.bits, w.n = w.bits<<n|v, w.n+n
	for ; w.n >= 8; w.n -= 8 {
		b := byte(w.bits >> (w.n - 8))
		if w.out = append(w.out, b); b == 0xff {
			w.out = append(w.out, 0)
		}
	}
}

// difference writes how much a block is brighter than the one before: twelve lengths with codes of four bits, then the number, and
// one bit for that there is nothing else in the block.
func (w *bitWriter) difference(d int) {
	n := 0
	for v := max(d, -d); v > 0; v >>= 1 {
		n++
	}
	w.put(uint32(n), 4)
	if d < 0 {
		d += 1<<n - 1
	}
	w.put(uint32(d), n)
	w.put(0, 1)
}

// halves is a JPEG whose left half is of one colour and its right half of another, in three components by those names, of which the
// first has that sampling: forms in which the standard library does not write, but others do.
func halves(w, h int, sampling byte, names string, left, right [3]uint8) []byte {
	frame := []byte{0xc0, 8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), 3}
	scan := []byte{0xda, 3}
	for i := range 3 {
		frame = append(frame, names[i], map[bool]byte{true: sampling, false: 0x11}[i == 0], 0)
		scan = append(scan, names[i], 0)
	}
	lengths := func(n int, count byte) string {
		return strings.Repeat("\x00", n-1) + string([]byte{count}) + strings.Repeat("\x00", 16-n)
	}
	segments := []string{"\xdb\x00" + strings.Repeat("\x08", 64), string(frame),
		"\xc4\x00" + lengths(4, 12) + "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b", "\xc4\x10" + lengths(1, 1) + "\x00", string(scan) + "\x00\x3f\x00"}
	across, down := int(sampling>>4), int(sampling&15)
	var bits bitWriter
	last := [3]int{128, 128, 128}
	for y := 0; y < h; y += 8 * down {
		for x := 0; x < w; x += 8 * across {
			value := left
			if x >= w/2 {
				value = right
			}
			for c := range 3 {
				for range max(1, across*down*map[bool]int{true: 1}[c == 0]) {
					bits.difference(int(value[c]) - last[c])
					last[c] = int(value[c])
				}
			}
		}
	}
	bits.put(0x7f, 7)
	return append(append(withSegments([]byte("\xff\xd8"), segments...), bits.out...), 0xff, 0xd9)
}

func TestColoursOfEverySampling(t *testing.T) { // SYSTEM N2
	orange, teal := color.NRGBA{230, 120, 40, 255}, color.NRGBA{20, 130, 150, 255}
	planes := func(c color.NRGBA) [3]uint8 {
		y, cb, cr := color.RGBToYCbCr(c.R, c.G, c.B)
		return [3]uint8{y, cb, cr}
	}
	files := map[string][]byte{"RGB": halves(64, 40, 0x11, "RGB", [3]uint8{230, 120, 40}, [3]uint8{20, 130, 150})}
	for _, sampling := range []byte{0x11, 0x21, 0x12, 0x22, 0x41, 0x42} {
		files[fmt.Sprintf("%x", sampling)] = halves(64, 40, sampling, "\x01\x02\x03", planes(orange), planes(teal))
	}
	for name, data := range files {
		for _, v := range []picture.Variant{whole, {Width: 50, Height: 50}, {Width: 13, Height: 13}, {Width: 30, Height: 12, Crop: true}} {
			for _, o := range []uint16{1, 3, 6} {
				r := rendered(t, withSegments(data, "\xe1Exif\x00\x00"+exif(binary.BigEndian, o)), v)
				m, first, second := pixels(t, r), orange, teal
				if o == 3 {
					first, second = teal, orange
				}
				x, y := r.Width/8, r.Height/2
				if o == 6 {
					x, y = r.Width/2, r.Height/8
				}
				near(t, fmt.Sprint(name, v, o), m, x, y, first, 14)
				near(t, fmt.Sprint(name, v, o), m, r.Width-1-x, r.Height-1-y, second, 14)
			}
		}
	}
}
