package picture

import "math"

// A plane is a rectangle of samples, n channels of a byte each beside each other. Its extent is its size in samples before it was
// rounded up: the colours of a photograph 5 pixels wide take 3 samples, of which the last is for half as much as the others.
type plane struct {
	pix              []uint8
	stride           int
	w, h, n          int
	extentX, extentY float64
}

func newPlane(w, h, n int, extentX, extentY float64) plane {
	return plane{make([]uint8, w*h*n), w * n, w, h, n, extentX, extentY}
}

func (p plane) row(y int) []uint8 { return p.pix[y*p.stride:][:p.w*p.n] }

// cut is a view of a part of p.
func (p plane) cut(x, y, w, h int, extentX, extentY float64) plane {
	return plane{p.pix[y*p.stride+x*p.n:], p.stride, w, h, p.n, extentX, extentY}
}

// resize makes a plane of the size. While it is at least twice as large it is halved, which is quick and exact; the rest is done by
// a filter. A plane that has the size is itself.
func (p plane) resize(w, h int, extentX, extentY float64) plane {
	for p.extentX >= 2*extentX && p.extentY >= 2*extentY {
		p = p.halve()
	}
	if p.w == w && p.h == h && p.extentX == extentX && p.extentY == extentY {
		return p
	}
	return p.filter(w, h, extentX, extentY)
}

// halve makes the mean of every four samples one. At an odd edge the last ones count twice.
func (p plane) halve() plane {
	to := newPlane((p.w+1)/2, (p.h+1)/2, p.n, p.extentX/2, p.extentY/2)
	for y := range to.h {
		a, b, dst := p.row(2*y), p.row(min(2*y+1, p.h-1)), to.row(y)
		if p.n == 1 {
			halveRow(dst[:p.w/2], a, b)
		} else {
			halveWide(dst[:p.w/2*p.n], a, b, p.n)
		}
		if p.w%2 == 1 {
			for i := 1; i <= p.n; i++ {
				dst[len(dst)-i] = uint8((int(a[len(a)-i]) + int(b[len(b)-i]) + 1) / 2)
			}
		}
	}
	return to
}

// halveRow does for single channels what halveWide does for any number. The photograph's first halving is here.
func halveRow(dst, a, b []uint8) {
	a, b = a[:2*len(dst)], b[:2*len(dst)]
	for x := range dst {
		i := 2 * x
		dst[x] = uint8((uint(a[i]) + uint(a[i+1]) + uint(b[i]) + uint(b[i+1]) + 2) >> 2)
	}
}

func halveWide(dst, a, b []uint8, n int) {
	for i := range dst {
		at := i + i/n*n
		dst[i] = uint8((uint(a[at]) + uint(a[at+n]) + uint(b[at]) + uint(b[at+n]) + 2) >> 2)
	}
}

// A tap is which samples one sample of the result is made of, and how much of each.
type tap struct {
	first   int
	weights []int32
}

// one is the weight 1. Samples have 8 bits, rows in between 16, weights up to 15 with their sign: sums fit into 32.
const one = 1 << 14

// taps works out the filter along one side: Catmull and Rom's cubic, stretched by the step so that it covers every sample. Their
// number is a multiple of four; those that stretch past the edge are of the edge's own sample.
func taps(from, to int, step float64) []tap {
	stretch := max(step, 1)
	all := make([]tap, to)
	n := min(int(math.Ceil(4*stretch)), from)
	padded := (n + 3) &^ 3
	weights := make([]int32, to*padded)
	exact := make([]float64, n)
	for i := range all {
		centre := (float64(i)+0.5)*step - 0.5
		first := min(max(int(math.Ceil(centre-2*stretch)), 0), from-n)
		sum := 0.0
		for k := range exact {
			exact[k] = cubic((float64(first+k) - centre) / stretch)
			sum += exact[k]
		}
		all[i] = tap{first, weights[i*padded:][:padded:padded]}
		settle(all[i].weights, exact, sum)
	}
	return all
}

// settle rounds the weights so that they are one in sum: an even surface stays exactly even.
func settle(weights []int32, exact []float64, sum float64) {
	rest, heaviest := int32(one), 0
	for k, v := range exact {
		weights[k] = int32(math.Round(v / sum * one))
		rest -= weights[k]
		if weights[k] > weights[heaviest] {
			heaviest = k
		}
	}
	weights[heaviest] += rest
}

// cubic is the kernel of E. Catmull and R. Rom, A class of local interpolating splines, 1974.
func cubic(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x < 1:
		return (1.5*x-2.5)*x*x + 1
	case x < 2:
		return ((-0.5*x+2.5)*x-4)*x + 2
	}
	return 0
}

// filter resizes to any smaller size: each row of the result is put together from rows, and then from its own samples. Only one row
// is held in between.
func (p plane) filter(w, h int, extentX, extentY float64) plane {
	down, across := taps(p.h, h, p.extentY/extentY), taps(p.w, w, p.extentX/extentX)
	to := newPlane(w, h, p.n, extentX, extentY)
	line := make([]int32, (p.w+3)*p.n) // and room for the taps of weight zero
	for y, t := range down {
		p.blend(line[:p.w*p.n], t)
		if p.n == 1 {
			sumSingle(to.row(y), line, across)
		} else {
			sumFour(to.row(y), line, across)
		}
	}
	return to
}

// blend adds up rows by their weights, four at once, and leaves seven bits behind the point.
func (p plane) blend(line []int32, t tap) {
	for k := 0; k < len(t.weights); k += 4 {
		var rows [4][]uint8
		for i := range rows {
			rows[i] = p.row(min(t.first+k+i, p.h-1))
		}
		w := [4]int32(t.weights[k:])
		if k == 0 {
			blendFirst(line, rows, w)
		} else {
			blendMore(line, rows, w)
		}
	}
	for x := range line {
		line[x] >>= 7
	}
}

func blendFirst(line []int32, rows [4][]uint8, w [4]int32) {
	a, b, c, d := rows[0][:len(line)], rows[1][:len(line)], rows[2][:len(line)], rows[3][:len(line)]
	w0, w1, w2, w3 := w[0], w[1], w[2], w[3]
	for x := range line {
		line[x] = w0*int32(a[x]) + w1*int32(b[x]) + w2*int32(c[x]) + w3*int32(d[x])
	}
}

func blendMore(line []int32, rows [4][]uint8, w [4]int32) {
	a, b, c, d := rows[0][:len(line)], rows[1][:len(line)], rows[2][:len(line)], rows[3][:len(line)]
	w0, w1, w2, w3 := w[0], w[1], w[2], w[3]
	for x := range line {
		line[x] += w0*int32(a[x]) + w1*int32(b[x]) + w2*int32(c[x]) + w3*int32(d[x])
	}
}

// half rounds to the nearest when the twenty-one bits behind the point are cut off.
const half = 1 << 20

func sumSingle(dst []uint8, line []int32, across []tap) {
	dst = dst[:len(across)]
	for x := range across {
		w := across[x].weights
		s := line[across[x].first:][:len(w)]
		sum := int32(half)
		for ; len(w) >= 4 && len(s) >= 4; w, s = w[4:], s[4:] {
			sum += w[0]*s[0] + w[1]*s[1] + w[2]*s[2] + w[3]*s[3]
		}
		dst[x] = clamp8(sum >> 21)
	}
}

func sumFour(dst []uint8, line []int32, across []tap) {
	for x, t := range across {
		s := line[4*t.first:][:4*len(t.weights)]
		r, g, b, a := int32(half), int32(half), int32(half), int32(half)
		for _, w := range t.weights {
			r, g, b, a = r+w*s[0], g+w*s[1], b+w*s[2], a+w*s[3]
			s = s[4:]
		}
		d := dst[4*x:][:4]
		d[0], d[1], d[2], d[3] = clamp8(r>>21), clamp8(g>>21), clamp8(b>>21), clamp8(a>>21)
	}
}

func clamp8(v int32) uint8 { return uint8(min(255, max(0, v))) }

// turn makes p upright, which is stored as an orientation of EXIF says: 2 to 4 mirror it, 5 to 8 also swap rows and columns.
func (p plane) turn(orientation int) plane {
	if orientation == upright {
		return p
	}
	to := newPlane(p.w, p.h, p.n, p.extentX, p.extentY)
	if orientation >= 5 {
		to = newPlane(p.h, p.w, p.n, p.extentY, p.extentX)
	}
	start, right, down := 0, p.n, p.stride // where in p the first sample is, and the steps from it
	lastX, lastY := (p.w-1)*p.n, (p.h-1)*p.stride
	switch orientation {
	case 2:
		start, right = lastX, -right
	case 3:
		start, right, down = lastX+lastY, -right, -down
	case 4:
		start, down = lastY, -down
	case 5:
		right, down = down, right
	case 6:
		start, right, down = lastY, -down, right
	case 7:
		start, right, down = lastX+lastY, -down, -right
	case 8:
		start, right, down = lastX, down, -right
	}
	for y := range to.h {
		row, at := to.row(y), start+y*down
		for ; len(row) > 0; row, at = row[p.n:], at+right {
			copy(row[:p.n], p.pix[at:at+p.n])
		}
	}
	return to
}
