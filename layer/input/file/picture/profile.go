package picture

import (
	"encoding/binary"
	"image/color"
	"math"
)

// maxProfile is far more than the profiles of matrices and curves have that are looked for.
const maxProfile = 64 << 10

// displayP3 is what the profile of Display P3 says of its red, green and blue, in the XYZ of ICC.1 (ISO 15076-1), times 65,536.
var displayP3 = [3][3]int32{{33760, 15807, -69}, {19142, 45365, 2744}, {10298, 4364, 51386}}

// wideGamut reports whether a profile is Display P3 with sRGB's own curve, by what it says and not by its name. Telephones write no
// other one that differs from sRGB so that one would see it.
func wideGamut(icc []byte) bool {
	if len(icc) < 132 || len(icc) > maxProfile || string(icc[36:40]) != "acsp" || string(icc[16:20]) != "RGB " {
		return false
	}
	for i, name := range []string{"rXYZ", "gXYZ", "bXYZ"} {
		tag := profileTag(icc, name, "XYZ ", 20)
		if tag == nil {
			return false
		}
		for k, want := range displayP3[i] {
			const near = 200 // three thousandths
			if got := int32(binary.BigEndian.Uint32(tag[8+4*k:])); got < want-near || got > want+near {
				return false
			}
		}
	}
	curve := profileTag(icc, "rTRC", "para", 16)
	const exponent = 0x26666 // 2.4, of sRGB's curve
	return curve != nil && binary.BigEndian.Uint16(curve[8:]) == 3 && binary.BigEndian.Uint32(curve[12:]) == exponent
}

// profileTag finds a tag of a type, of at least size bytes. A profile has few tags; more than are looked at it may have for nothing.
func profileTag(icc []byte, name, kind string, size int) []byte {
	const maxTags = 64
	table := icc[132:]
	for range min(int64(binary.BigEndian.Uint32(icc[128:])), maxTags, int64(len(table)/12)) {
		if string(table[:4]) == name {
			at, n := int64(binary.BigEndian.Uint32(table[4:])), int64(binary.BigEndian.Uint32(table[8:]))
			if at+n > int64(len(icc)) || n < int64(size) || string(icc[at:at+4]) != kind {
				return nil
			}
			return icc[at : at+n]
		}
		table = table[12:]
	}
	return nil
}

// A gamut converts colours of Display P3 to sRGB; both have the same white and the same curve. What sRGB cannot show is cut off.
type gamut struct {
	light [256]int32  // of a sample, 0 to 4095
	curve [4096]uint8 // back
}

func newGamut() *gamut {
	var g gamut
	for i := range g.light {
		v := float64(i) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		g.light[i] = int32(math.Round(v * 4095))
	}
	for i := range g.curve {
		v := float64(i) / 4095
		if v <= 0.0031308 {
			v *= 12.92
		} else {
			v = 1.055*math.Pow(v, 1/2.4) - 0.055
		}
		g.curve[i] = uint8(math.Round(v * 255))
	}
	return &g
}

// convert multiplies by the matrix between the two, in units of 2 to the -14.
func (g *gamut) convert(r, gr, b uint8) (uint8, uint8, uint8) {
	x, y, z := g.light[r], g.light[gr], g.light[b]
	back := func(v int32) uint8 { return g.curve[min(4095, max(0, (v+1<<13)>>14))] }
	return back(20069*x - 3685*y), back(-689*x + 17073*y), back(-322*x - 1289*y + 17995*z)
}

// narrow converts a raster's colours, into a new one. Grey has none.
func narrow(r raster) raster {
	g := newGamut()
	switch {
	case len(r.planes) == 3:
		return g.planar(r)
	case r.planes[0].n == 4:
		return g.four(r)
	}
	return r
}

func (g *gamut) four(r raster) raster {
	from := r.planes[0]
	to := newPlane(from.w, from.h, 4, from.extentX, from.extentY)
	for y := range from.h {
		dst := to.row(y)
		for src := from.row(y); len(src) >= 4; src, dst = src[4:], dst[4:] {
			red, green, blue := g.convert(straight(src))
			a := uint32(src[3])
			dst[0], dst[1], dst[2], dst[3] = over255(uint32(red)*a), over255(uint32(green)*a), over255(uint32(blue)*a), src[3]
		}
	}
	return raster{width: r.width, height: r.height, planes: []plane{to}}
}

// planar converts every pixel; of each four that share a colour, the last one's is taken for all, which was one colour before.
func (g *gamut) planar(r raster) raster {
	to := raster{width: r.width, height: r.height, ratioX: r.ratioX, ratioY: r.ratioY}
	for _, p := range r.planes {
		to.planes = append(to.planes, newPlane(p.w, p.h, 1, p.extentX, p.extentY))
	}
	for y := range r.height {
		light, cb, cr := r.planes[0].row(y), r.planes[1].row(y/r.ratioY), r.planes[2].row(y/r.ratioY)
		toLight, toCb, toCr := to.planes[0].row(y), to.planes[1].row(y/r.ratioY), to.planes[2].row(y/r.ratioY)
		for x, v := range light {
			c := x / r.ratioX
			toLight[x], toCb[c], toCr[c] = color.RGBToYCbCr(g.convert(color.YCbCrToRGB(v, cb[c], cr[c])))
		}
	}
	return to
}
