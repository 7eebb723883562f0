// Package picture measures what it costs to make small pictures out of a photograph of twelve megapixels, beside two other ways to do
// it, in one run and on one machine: libvips, which is written in C with the processor's vector instructions and is what imgproxy
// uses, and disintegration/imaging, which most Go programs use. It is not built into anything: a measurement has no place in what
// it measures.
//
//	go test -run - -bench . ./bench/picture
//
// Every picture is made by a process of its own, so that its processor time and its memory are the kernel's own figures.
package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"
)

// Photograph makes a JPEG as a telephone writes it: half the size for colours, quality 90, gradients, edges, textures and the noise
// of a sensor, which costs decoders more than all the rest. It is the same on every machine but for the last bit.
func Photograph(width, height int) ([]byte, error) {
	m := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
	r := rand.New(rand.NewPCG(4711, 12))
	for y := range height {
		row := m.Y[y*m.YStride:][:width]
		for x := range row {
			row[x] = sample(light(x, y) + 5*r.NormFloat64())
		}
	}
	for i := range m.Cb {
		x, y := float64(i%m.CStride), float64(i/m.CStride)
		m.Cb[i] = sample(128 + 40*math.Sin(x/200) + 2*r.NormFloat64())
		m.Cr[i] = sample(128 + 40*math.Cos(y/250) + 2*r.NormFloat64())
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		return nil, fmt.Errorf("encoding a photograph: %w", err)
	}
	return b.Bytes(), nil
}

// light is a sky, waves and walls.
func light(x, y int) float64 {
	v := 120 + 60*math.Sin(float64(x)/300+float64(y)/500) + 25*math.Sin(float64(x)*float64(y)/90000)
	if (x/170+y/130)%5 == 0 {
		v += 40
	}
	return v
}

func sample(v float64) uint8 { return uint8(min(255, max(0, v))) }
