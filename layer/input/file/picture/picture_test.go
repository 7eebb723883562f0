package picture_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/draw"

	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

func TestAPictureFitsItsBox(t *testing.T) { // SYSTEM N2
	for _, c := range []struct {
		name          string
		width, height int
		v             picture.Variant
		want          string
	}{
		{"wide in a square", 400, 300, picture.Variant{Width: 100, Height: 100}, "100x75"},
		{"high in a square", 300, 400, picture.Variant{Width: 100, Height: 100}, "75x100"},
		{"wide in a high box", 400, 300, picture.Variant{Width: 100, Height: 1000}, "100x75"},
		{"it fits already", 40, 30, picture.Variant{Width: 100, Height: 100}, "40x30"},
		{"it fits exactly", 100, 30, picture.Variant{Width: 100, Height: 100}, "100x30"},
		{"a line keeps its one pixel", 400, 1, picture.Variant{Width: 10, Height: 10}, "10x1"},
		{"a column keeps its one pixel", 1, 400, picture.Variant{Width: 10, Height: 10}, "1x10"},
		{"one pixel", 1, 1, picture.Variant{Width: 10, Height: 10}, "1x1"},
		{"odd sizes", 401, 299, picture.Variant{Width: 37, Height: 41}, "37x28"},
		{"cut to a square", 400, 300, picture.Variant{Width: 100, Height: 100, Crop: true}, "100x100"},
		{"cut to a strip", 400, 300, picture.Variant{Width: 200, Height: 20, Crop: true}, "200x20"},
		{"cut, too small: the shape of the box", 40, 30, picture.Variant{Width: 100, Height: 100, Crop: true}, "30x30"},
		{"cut, too small one way: the shape of the box", 400, 50, picture.Variant{Width: 100, Height: 100, Crop: true}, "50x50"},
		{"cut, a line", 400, 1, picture.Variant{Width: 10, Height: 10, Crop: true}, "1x1"},
		{"cut, odd sizes", 403, 301, picture.Variant{Width: 37, Height: 41, Crop: true}, "37x41"},
	} {
		for kind, encode := range map[string]func(image.Image) []byte{"jpeg": jpegOf, "png": pngOf} {
			r := rendered(t, encode(noise(c.width, c.height)), c.v)
			if got := fmt.Sprintf("%dx%d", r.Width, r.Height); got != c.want {
				t.Errorf("%s, %s: got %s, want %s", c.name, kind, got, c.want)
			}
		}
	}
}

func TestAPictureIsWrittenInTheFormatThatSuitsIt(t *testing.T) { // SYSTEM N2
	drawing := even(300, 300, color.White)
	for i := range 300 {
		drawing.Set(i, i, color.Black)
	}
	pale := noise(300, 300)
	pale.Pix[3] = 254
	indexed := image.NewPaletted(image.Rect(0, 0, 300, 300), color.Palette{color.Black, color.NRGBA{255, 0, 0, 100}})
	gray := image.NewGray(image.Rect(0, 0, 300, 300))
	draw.Draw(gray, gray.Rect, noise(300, 300), image.Point{}, draw.Src)
	deep := image.NewNRGBA64(image.Rect(0, 0, 300, 300))
	draw.Draw(deep, deep.Rect, noise(300, 300), image.Point{}, draw.Src)
	deepGray := image.NewGray16(image.Rect(0, 0, 9, 9))
	for _, c := range []struct {
		name string
		data []byte
		v    picture.Variant
		want string
	}{
		{"a photograph", jpegOf(noise(9, 9)), whole, "jpeg 1"},
		{"a grey photograph", jpegOf(gray), small, "jpeg 1"},
		{"a progressive photograph", file(t, "progressive.jpg"), whole, "jpeg 1"},
		{"a progressive photograph in full colour", file(t, "progressive444.jpg"), whole, "jpeg 1"},
		{"a photograph for printing", file(t, "cmyk.jpg"), whole, "jpeg 1"},
		{"a photograph as PNG", pngOf(noise(300, 300)), whole, "jpeg 1"},
		{"a grey photograph as PNG", pngOf(gray), whole, "jpeg 1"},
		{"a photograph as PNG of sixteen bits", pngOf(deep), whole, "jpeg 1"},
		{"a small picture", pngOf(noise(200, 200)), whole, "png 1"},
		{"a drawing", pngOf(drawing), whole, "png 1"},
		{"a drawing made smaller", pngOf(drawing), small, "png 1"},
		{"one of which one pixel is not opaque", pngOf(pale), small, "png 1"},
		{"a large drawing that one sees through", pngOf(even(1100, 1000, color.NRGBA{9, 9, 200, 99})), whole, "png 1"},
		{"few colours", pngOf(indexed), whole, "png 1"},
		{"few colours, cut", pngOf(indexed), thumb, "png 1"},
		{"grey of sixteen bits", pngOf(deepGray), small, "png 1"},
		{"interlaced", file(t, "interlaced.png"), small, "png 1"},
		{"WebP", file(t, "lossy.webp"), whole, "jpeg 1"},
		{"WebP without loss", file(t, "lossless.webp"), whole, "png 1"},
		{"WebP that one sees through", file(t, "alpha.webp"), small, "png 1"},
		{"WebP without loss that one sees through", file(t, "alphalossless.webp"), thumb, "png 1"},
		{"a GIF that is still", gifOf(animationOf(1, 30, 30)), whole, "png 1"},
		{"an animation", gifOf(animationOf(5, 30, 30)), whole, "gif 5"},
		{"an animation made smaller", gifOf(animationOf(5, 30, 30)), small, "gif 5"},
		{"an animation that is cut is still", gifOf(animationOf(5, 30, 30)), thumb, "png 1"},
	} {
		r := rendered(t, c.data, c.v)
		if got := fmt.Sprint(r.Format, " ", r.Frames); got != c.want || r.Variant != c.v.Name {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestRenditionsComeInTheOrderAsked(t *testing.T) {
	variants := []picture.Variant{thumb, whole, {Name: "", Width: 100, Height: 100}, {Name: "long", Width: 500, Height: 3}, small}
	made, err := picture.Render(jpegOf(noise(500, 400)), picture.Limits{}, variants)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range made {
		clean(t, r)
		got = append(got, fmt.Sprintf("%s %dx%d", r.Variant, r.Width, r.Height))
	}
	if want := "[thumb 8x8 whole 500x400  100x80 long 4x3 small 12x10]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// near fails unless a pixel is of about that colour.
func near(t *testing.T, what string, m image.Image, x, y int, want color.NRGBA, tolerance int) {
	t.Helper()
	got := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
	for _, d := range []int{int(got.R) - int(want.R), int(got.G) - int(want.G), int(got.B) - int(want.B), int(got.A) - int(want.A)} {
		if d < -tolerance || d > tolerance {
			t.Errorf("%s at %d,%d: got %v, want %v", what, x, y, got, want)
			return
		}
	}
}

func TestColoursStay(t *testing.T) { // SYSTEM N2
	deep := image.NewNRGBA64(image.Rect(0, 0, 24, 16))
	draw.Draw(deep, deep.Rect, scene(true), image.Point{}, draw.Src)
	for name, c := range map[string]struct {
		data      []byte
		see       bool
		tolerance int
	}{
		"baseline":      {jpegOf(scene(false)), false, 14},
		"progressive":   {file(t, "progressive.jpg"), false, 18},
		"full colour":   {file(t, "progressive444.jpg"), false, 18},
		"CMYK":          {file(t, "cmyk.jpg"), false, 60}, // its profile is not there to be asked
		"PNG":           {pngOf(scene(true)), true, 1},
		"PNG of 16 bit": {pngOf(deep), true, 1},
		"interlaced":    {file(t, "interlaced.png"), false, 0},
		"WebP":          {file(t, "lossy.webp"), false, 18},
		"lossless WebP": {file(t, "lossless.webp"), false, 0},
		"alpha WebP":    {file(t, "alpha.webp"), true, 18},
	} {
		r := rendered(t, c.data, whole)
		m, from := pixels(t, r), scene(c.see)
		for _, at := range []image.Point{{3, 3}, {20, 3}, {3, 12}, {20, 12}} {
			near(t, name, m, at.X, at.Y, from.NRGBAAt(at.X, at.Y), c.tolerance)
		}
	}
}

func TestAnEvenSurfaceStaysEven(t *testing.T) {
	for _, c := range []color.NRGBA{{0, 0, 0, 255}, {255, 255, 255, 255}, {77, 130, 201, 255}, {200, 100, 50, 128}} {
		for _, size := range []int{9, 25, 47, 63, 99} {
			r := rendered(t, pngOf(even(101, 100, c)), picture.Variant{Width: size, Height: size})
			m := pixels(t, r)
			for i := range r.Width * r.Height {
				near(t, fmt.Sprint(size), m, i%r.Width, i/r.Width, c, 1)
			}
		}
	}
}

// TestSmallerIsAsAReferenceMakesIt compares with the filter of golang.org/x/image/draw, which has the same kernel in floating point.
func TestSmallerIsAsAReferenceMakesIt(t *testing.T) {
	from := image.NewNRGBA(image.Rect(0, 0, 120, 90))
	for y := range 90 {
		for x := range 120 {
			v := uint8(128 + 100*math.Sin(float64(x)/5)*math.Cos(float64(y)/7))
			from.SetNRGBA(x, y, color.NRGBA{v, 255 - v, uint8(2 * x), 255})
		}
	}
	for _, w := range []int{119, 100, 80, 61, 40, 13} {
		r := rendered(t, pngOf(from), picture.Variant{Width: w, Height: w})
		want := image.NewNRGBA(image.Rect(0, 0, r.Width, r.Height))
		draw.CatmullRom.Scale(want, want.Rect, from, from.Rect, draw.Src, nil)
		got, sum := pixels(t, r), 0.0
		for i := range r.Width * r.Height {
			a := color.NRGBAModel.Convert(got.At(i%r.Width, i/r.Width)).(color.NRGBA)
			b := want.NRGBAAt(i%r.Width, i/r.Width)
			sum += math.Abs(float64(a.R)-float64(b.R)) + math.Abs(float64(a.G)-float64(b.G)) + math.Abs(float64(a.B)-float64(b.B))
		}
		if mean := sum / float64(3*r.Width*r.Height); mean > 4 || mean > 2 && w > 30 { // far smaller, it is halved first
			t.Errorf("%d: %.2f from the reference in the mean", w, mean)
		}
	}
}

// corners are the colours in the scene's corners: red, blue, brown and green.
func corners(t *testing.T, r picture.Rendition) string {
	m := pixels(t, r)
	name := func(x, y int) string {
		c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
		switch {
		case c.B > 150:
			return "blue"
		case c.R > 150 && c.G < 60:
			return "red"
		case c.R > 150:
			return "orange"
		}
		return "green"
	}
	return strings.Join([]string{name(1, 1), name(r.Width-2, 1), name(1, r.Height-2), name(r.Width-2, r.Height-2)}, " ")
}

func TestAPictureIsTurnedUpright(t *testing.T) { // SYSTEM N2
	want := map[uint16]string{
		0: "24x16 red blue orange green", 1: "24x16 red blue orange green", 9: "24x16 red blue orange green",
		2: "24x16 blue red green orange", 3: "24x16 green orange blue red", 4: "24x16 orange green red blue",
		5: "16x24 red orange blue green", 6: "16x24 orange red green blue", 7: "16x24 green blue orange red", 8: "16x24 blue green red orange",
	}
	for o, want := range want {
		little, big := exif(binary.LittleEndian, o), exif(binary.BigEndian, o)
		for name, data := range map[string][]byte{
			"JPEG":          withSegments(jpegOf(scene(false)), "\xe1Exif\x00\x00"+little),
			"big-endian":    withSegments(jpegOf(scene(false)), "\xe1Exif\x00\x00"+big),
			"the first one": withSegments(jpegOf(scene(false)), "\xe1Exif\x00\x00"+big, "\xe1Exif\x00\x00"+exif(binary.BigEndian, 8)),
			"full colour":   withSegments(file(t, "progressive444.jpg"), "\xe1Exif\x00\x00"+big),
			"CMYK":          withSegments(file(t, "cmyk.jpg"), "\xe1Exif\x00\x00"+big),
			"PNG":           withChunks(pngOf(scene(false)), "eXIf"+big),
			"few colours":   withChunks(gifLike(scene(false)), "eXIf"+big),
			"WebP":          extended(file(t, "lossy.webp"), 8, nil, []string{"EXIF" + little}),
			"WebP as JPEG":  extended(file(t, "lossless.webp"), 8, nil, []string{"EXIFExif\x00\x00" + little}),
		} {
			r := rendered(t, data, whole)
			if got := fmt.Sprintf("%dx%d %s", r.Width, r.Height, corners(t, r)); got != want {
				t.Errorf("%s, orientation %d: got %s, want %s", name, o, got, want)
			}
		}
		r := rendered(t, withChunks(pngOf(scene(false)), "eXIf"+big), picture.Variant{Width: 12, Height: 24})
		if got := fmt.Sprintf("%dx%d", r.Width, r.Height); got != map[bool]string{true: "12x18", false: "12x8"}[o >= 5 && o < 9] {
			t.Errorf("orientation %d fits its box as %s", o, got)
		}
	}
}

// gifLike is a PNG with a palette.
func gifLike(m image.Image) []byte {
	p := image.NewPaletted(m.Bounds(), nil)
	for i := range 216 {
		p.Palette = append(p.Palette, color.RGBA{uint8(i % 6 * 51), uint8(i / 6 % 6 * 51), uint8(i / 36 * 51), 255})
	}
	draw.Draw(p, p.Rect, m, image.Point{}, draw.Src)
	return pngOf(p)
}

// TestPhotographsOfAllOrientationsLookAlike reads files of a camera and an editor, if they are there.
func TestPhotographsOfAllOrientationsLookAlike(t *testing.T) { // SYSTEM N2
	folder := os.Getenv("REDOUBT_CORPORA")
	if folder == "" {
		t.Log("REDOUBT_CORPORA is unset: it names the folder of exif-orientation.json")
		return
	}
	var files []struct{ Name, B64 string }
	text, err := os.ReadFile(filepath.Join(folder, "exif-orientation.json"))
	if err == nil {
		err = json.Unmarshal(text, &files)
	}
	if err != nil || len(files) != 8 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	var first image.Image
	for _, f := range files {
		r := rendered(t, must(base64.StdEncoding.DecodeString(f.B64)), picture.Variant{Width: 60, Height: 60})
		m := pixels(t, r)
		if first == nil {
			first = m
		}
		if m.Bounds() != first.Bounds() {
			t.Fatalf("%s: %v, want %v", f.Name, m.Bounds(), first.Bounds())
		}
		sum := 0.0
		for i := range r.Width * r.Height {
			a, b := color.GrayModel.Convert(m.At(i%r.Width, i/r.Width)).(color.Gray), color.GrayModel.Convert(first.At(i%r.Width, i/r.Width)).(color.Gray)
			sum += math.Abs(float64(a.Y) - float64(b.Y))
		}
		if mean := sum / float64(r.Width*r.Height); mean > 8 { // the number of the orientation is written into each
			t.Errorf("%s differs by %.1f in the mean", f.Name, mean)
		}
	}
}

// displayP3 writes a profile as telephones do: three colours, a curve.
func displayP3(red int32, curve uint16) string {
	tags := []string{"rXYZ", "gXYZ", "bXYZ", "rTRC"}
	values := [][]int32{{red, 15807, -69}, {19142, 45365, 2744}, {10298, 4364, 51386}}
	out := make([]byte, 128, 400)
	copy(out[16:], "RGB XYZ ")
	copy(out[36:], "acsp")
	out = binary.BigEndian.AppendUint32(out, uint32(len(tags)))
	for i, name := range tags {
		out = append(out, name...)
		out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(out, uint32(180+20*i)), 20)
	}
	for _, v := range values {
		out = append(out, "XYZ \x00\x00\x00\x00"...)
		for _, n := range v {
			out = binary.BigEndian.AppendUint32(out, uint32(n))
		}
	}
	out = append(out, "para\x00\x00\x00\x00"...)
	out = binary.BigEndian.AppendUint16(out, curve)
	return string(append(out, 0, 0, 0, 2, 0x66, 0x66, 0, 0, 0, 0))
}

func TestTheColoursOfTelephonesBecomeOurs(t *testing.T) { // SYSTEM N2
	profile, p3 := displayP3(33760, 3), even(24, 16, color.NRGBA{200, 100, 90, 255})
	converted, asIs := color.NRGBA{215, 93, 85, 255}, color.NRGBA{200, 100, 90, 255} // by colour-science formulas, in floating point
	alpha := even(24, 16, color.NRGBA{200, 100, 90, 200})
	gray := image.NewGray(image.Rect(0, 0, 24, 16))
	for name, c := range map[string]struct {
		data []byte
		want color.NRGBA
	}{
		"a photograph":              {withSegments(jpegOf(p3), "\xe2ICC_PROFILE\x00\x01\x01"+profile), converted},
		"a PNG":                     {withChunks(pngOf(p3), "iCCPname\x00\x00"+deflated(profile)), converted},
		"a PNG that one sees in":    {withChunks(pngOf(alpha), "iCCPname\x00\x00"+deflated(profile)), color.NRGBA{215, 93, 85, 200}},
		"grey, which has none":      {withSegments(jpegOf(gray), "\xe2ICC_PROFILE\x00\x01\x01"+profile), color.NRGBA{0, 0, 0, 255}},
		"without a profile":         {jpegOf(p3), asIs},
		"with half a profile":       {withSegments(jpegOf(p3), "\xe2ICC_PROFILE\x00\x01\x02"+profile), asIs},
		"with sRGB's profile":       {withSegments(jpegOf(p3), "\xe2ICC_PROFILE\x00\x01\x01"+displayP3(28500, 3)), asIs},
		"with another curve":        {withSegments(jpegOf(p3), "\xe2ICC_PROFILE\x00\x01\x01"+displayP3(33760, 0)), asIs},
		"with a profile cut short":  {withSegments(jpegOf(p3), "\xe2ICC_PROFILE\x00\x01\x01"+profile[:200]), asIs},
		"with a profile that is no": {withSegments(jpegOf(p3), "\xe2ICC_PROFILE\x00\x01\x01"+strings.Repeat("x", 300)), asIs},
	} {
		for _, v := range []picture.Variant{whole, small, thumb} {
			near(t, name, pixels(t, rendered(t, c.data, v)), 4, 4, c.want, 4)
		}
	}
}

// drawn is what a browser shows of an animation, frame after frame, by code of its own.
func drawn(t *testing.T, data []byte) (frames []*image.NRGBA, g *gif.GIF) {
	t.Helper()
	g, err := gif.DecodeAll(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	canvas := image.NewNRGBA(image.Rect(0, 0, g.Config.Width, g.Config.Height))
	for i, f := range g.Image {
		before := *canvas
		before.Pix = bytes.Clone(canvas.Pix)
		draw.Draw(canvas, f.Rect, f, f.Rect.Min, draw.Over)
		show := *canvas
		show.Pix = bytes.Clone(canvas.Pix)
		frames = append(frames, &show)
		switch g.Disposal[i] {
		case gif.DisposalBackground:
			draw.Draw(canvas, f.Rect, image.Transparent, image.Point{}, draw.Src)
		case gif.DisposalPrevious:
			canvas = &before
		}
	}
	return frames, g
}

// layered is an animation that uses every way to leave a frame: parts are drawn over others and taken away again.
func layered(see bool) *gif.GIF {
	palette := color.Palette{color.RGBA{}, color.RGBA{250, 0, 0, 255}, color.RGBA{0, 0, 250, 255}, color.RGBA{0, 200, 0, 255}}
	part := func(r image.Rectangle, index uint8) *image.Paletted {
		m := image.NewPaletted(r, palette)
		for i := range m.Pix {
			m.Pix[i] = index
		}
		return m
	}
	background := part(image.Rect(0, 0, 40, 20), 1)
	if see {
		background = part(image.Rect(0, 0, 20, 20), 1)
	}
	hole := part(image.Rect(8, 8, 32, 12), 3)
	clear(hole.Pix[:48]) // two rows that one sees through
	g := &gif.GIF{LoopCount: 3, Config: image.Config{ColorModel: palette, Width: 40, Height: 20},
		Image: []*image.Paletted{background, part(image.Rect(4, 4, 12, 12), 2), hole, part(image.Rect(20, 0, 40, 8), 2), part(image.Rect(0, 0, 1, 1), 1), part(image.Rect(0, 0, 1, 1), 1)},
		Delay: []int{5, 6, 7, 8, 9, 10}, Disposal: []byte{gif.DisposalNone, gif.DisposalPrevious, 0, gif.DisposalNone, gif.DisposalNone, 7}}
	if see {
		g.Disposal[2] = gif.DisposalBackground
	}
	return g
}

func TestAnAnimationMovesAsBefore(t *testing.T) { // SYSTEM N2
	for _, see := range []bool{false, true} {
		data := gifOf(layered(see))
		want, from := drawn(t, data)
		for _, v := range []picture.Variant{whole, {Width: 20, Height: 10}} {
			got, g := drawn(t, rendered(t, data, v).Data)
			if len(got) != len(want) || g.LoopCount != from.LoopCount || fmt.Sprint(g.Delay) != fmt.Sprint(from.Delay) {
				t.Fatalf("%d frames, %d times, %v", len(got), g.LoopCount, g.Delay)
			}
			scale := 40 / got[0].Rect.Dx()
			for i := range got {
				for y := range got[i].Rect.Dy() {
					for x := range got[i].Rect.Dx() {
						near(t, fmt.Sprint(see, v.Width, " frame ", i), got[i], x, y, want[i].NRGBAAt(x*scale, y*scale), 3)
					}
				}
			}
		}
	}
}

func TestASmallerAnimationIsAlsoASmallerFile(t *testing.T) {
	g := animationOf(1, 64, 64) // and then a dot moves
	for i := range 20 {
		dot := image.NewPaletted(image.Rect(i*2, i*2, i*2+2, i*2+2), g.Image[0].Palette)
		g.Image, g.Delay = append(g.Image, dot), append(g.Delay, 5)
	}
	r := rendered(t, gifOf(g), picture.Variant{Width: 32, Height: 32})
	still := rendered(t, gifOf(&gif.GIF{Image: g.Image[:1], Delay: g.Delay[:1]}), picture.Variant{Width: 32, Height: 32})
	if r.Frames != 21 || len(r.Data) > 21*len(still.Data)/3 {
		t.Errorf("%d frames in %d bytes, one in %d", r.Frames, len(r.Data), len(still.Data))
	}
}
