package picture_test

import (
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

// seeds is a small picture of every form, by the name of its format and its own.
func seeds(t testing.TB) map[string][]byte {
	gray := image.NewGray(image.Rect(0, 0, 24, 16))
	draw.Draw(gray, gray.Rect, scene(false), image.Point{}, draw.Src)
	deep := image.NewNRGBA64(image.Rect(0, 0, 9, 7))
	draw.Draw(deep, deep.Rect, scene(true), image.Point{}, draw.Src)
	few := image.NewPaletted(image.Rect(0, 0, 24, 16), color.Palette{color.Black, color.NRGBA{255, 9, 9, 99}, color.White})
	for i := range few.Pix {
		few.Pix[i] = uint8(i % 3)
	}
	turned := exif(binary.LittleEndian, 6)
	return map[string][]byte{
		"jpeg baseline":    jpegOf(scene(false)),
		"jpeg grey":        jpegOf(gray),
		"jpeg metadata":    withSegments(jpegOf(scene(false)), "\xe1Exif\x00\x00"+turned, "\xe2ICC_PROFILE\x00\x01\x01"+displayP3(33760, 3)),
		"jpeg progressive": file(t, "progressive.jpg"),
		"jpeg full colour": file(t, "progressive444.jpg"),
		"jpeg cmyk":        file(t, "cmyk.jpg"),
		"png truecolour":   pngOf(scene(true)),
		"png grey":         pngOf(gray),
		"png deep":         pngOf(deep),
		"png palette":      pngOf(few),
		"png metadata":     withChunks(pngOf(scene(false)), "eXIf"+turned, "iCCPname\x00\x00"+deflated(displayP3(33760, 3))),
		"png interlaced":   file(t, "interlaced.png"),
		"gif still":        gifOf(animationOf(1, 24, 16)),
		"gif moving":       gifOf(animationOf(3, 24, 16)),
		"gif layers":       gifOf(layered(true)),
		"webp lossy":       file(t, "lossy.webp"),
		"webp lossless":    file(t, "lossless.webp"),
		"webp alpha":       file(t, "alpha.webp"),
		"webp both":        file(t, "alphalossless.webp"),
		"webp metadata":    extended(file(t, "lossy.webp"), 8, []string{"ICCP" + displayP3(33760, 3)}, []string{"EXIF" + turned}),
	}
}

// mutate changes a file as transport, disks and attackers do: bits turn, parts are lost, doubled and exchanged, numbers become extreme.
func mutate(r *rand.Rand, data, other []byte) []byte {
	out := slices.Clone(data)
	part := func(b []byte) (from, to int) { from = r.IntN(len(b)); return from, min(len(b), from+1+r.IntN(32)) }
	from, to := part(out)
	switch r.IntN(6) {
	case 0:
		for range 1 + r.IntN(4) {
			out[r.IntN(len(out))] ^= 1 << r.IntN(8)
		}
	case 1:
		return out[:from]
	case 2:
		return slices.Delete(out, from, to)
	case 3:
		return slices.Insert(out, r.IntN(len(out)), data[from:to]...)
	case 4:
		a, b := part(other)
		return slices.Replace(out, from, to, other[a:b]...)
	case 5:
		extremes := []byte{0, 1, 0x7f, 0x80, 0xfe, 0xff}
		for i := from; i < min(to, from+4); i++ {
			out[i] = extremes[r.IntN(len(extremes))]
		}
	}
	return out
}

// TestTenThousandMutationsOfEachFormat: no panic, no memory out of bounds, and of those that are taken nothing but a clean picture.
func TestTenThousandMutationsOfEachFormat(t *testing.T) { // SYSTEM N2
	times := 10000
	if testing.Short() {
		times = 500
	}
	limits := picture.Limits{Bytes: 1 << 16, Pixels: 1 << 16, FramePixels: 1 << 17}
	all := seeds(t)
	for _, format := range []string{"jpeg", "png", "gif", "webp"} {
		var files [][]byte
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if strings.HasPrefix(name, format) {
				files = append(files, all[name])
			}
		}
		r := rand.New(rand.NewPCG(2026, 2))
		outcomes, most := map[string]int{}, int64(0)
		for range times {
			data := mutate(r, files[r.IntN(len(files))], files[r.IntN(len(files))])
			if format == "png" && r.IntN(4) > 0 {
				data = fixed(data)
			}
			var why string
			took := allocated(func() { why = refusedAs(t, data, limits, small, thumb) })
			most = max(most, took)
			outcomes[why]++
		}
		t.Logf("%s: %v; at most %d KiB in all", format, outcomes, most>>10)
		if outcomes[picture.DecoderFailed] > 0 {
			t.Errorf("%s: a decoder panicked %d times", format, outcomes[picture.DecoderFailed])
		}
		if outcomes[""] < times/100 || outcomes[""] > times*9/10 {
			t.Errorf("%s: %d are taken: these mutations test nothing", format, outcomes[""])
		}
		if most > limits.Memory() {
			t.Errorf("%s: %d bytes, more than %d", format, most, limits.Memory())
		}
	}
}

func FuzzRender(f *testing.F) { // SYSTEM N2
	for _, data := range seeds(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := picture.Limits{Pixels: 1 << 18, FramePixels: 1 << 18}
		if why := refusedAs(t, data, limits, whole, small, thumb); why == picture.DecoderFailed {
			t.Error("a decoder panicked")
		}
		picture.Foreign(data)
	})
}

func FuzzOrientation(f *testing.F) {
	f.Add([]byte(exif(binary.LittleEndian, 6)))
	f.Add([]byte(exif(binary.BigEndian, 8)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got := picture.OrientationOf(data); got < 1 || got > 8 {
			t.Errorf("got %d", got)
		}
	})
}

func FuzzProfile(f *testing.F) {
	f.Add([]byte(displayP3(33760, 3)))
	f.Fuzz(func(t *testing.T, data []byte) { picture.WideGamut(data) })
}
