// Package picture turns an image that a stranger sent into clean pictures of sizes that we chose (SYSTEM N2). Nothing of the file
// that came is ever served: it is decoded to pixels, turned upright, made smaller and encoded anew, so that what leaves holds no
// place, no camera, no comment and no second file behind the first.
//
// JPEG, PNG, GIF and WebP are taken; JPEG, PNG and GIF are written. Everything is in memory, pure Go and in the caller's
// goroutine, for package picture is made to run in a process of its own that has no files, no network and little memory.
//
// # What it assumes has failed
//
// Everything before it: the name, the extension and the Content-Type are somebody's claims and are not asked for. Of the bytes it
// assumes that they were made to break decoders. It also expects a decoder to fail, in spite of all that is checked first: a panic
// becomes a refusal, and memory or time that run away end the process that it runs in, which costs this one upload.
//
// # What it stops
//
// Files that are not what their first bytes say: a full decode has to agree. Bombs of pixels, frames, scans and allocations, which
// are counted in the file's own structure before a decoder sees it. Places and faces in metadata: EXIF is read for its one
// orientation and nothing is copied. Archives, scripts and pages hidden behind, between or within the parts of an image, and in its
// palette. Files cut short, and files that two readers would understand differently.
//
// # What it does not stop
//
// What is to be seen in the picture. And the pixels are the sender's: who knows every step of this package can choose them so that
// some bytes of the result spell a word. So a picture is served with its exact type, nosniff and a policy of its own.
//
// Some things are lost on purpose. A colour profile is dropped, after the colours of Display P3, which telephones use, were converted
// to sRGB; CMYK is converted without its profile. Sixteen bits become eight. Of an animated PNG its first picture stays. An animated
// GIF stays animated in variants that show the whole of it, and is still where it is cropped.
//
// # How it is knocked out in a drill
//
// The drill serves the bytes that came, as they came. Then the type that is sent with them, nosniff, the sandbox of their policy and
// the gate in front of them must hold.
//
// # Example
//
//	renditions, err := picture.Render(data, picture.Limits{}, []picture.Variant{
//		{Name: "page", Width: 2048, Height: 2048},
//		{Name: "thumbnail", Width: 320, Height: 320, Crop: true},
//	})
//	if r := new(picture.Refused); errors.As(err, &r) { // and it is never anything else
package picture

// A Format is the name of an image format.
type Format string

// The formats that are taken. WebP is never written.
const (
	JPEG Format = "jpeg"
	PNG  Format = "png"
	GIF  Format = "gif"
	WebP Format = "webp"
)

// Limits bound what one picture may cost. Whatever they say, a side has at most 65,535 pixels, as files have no room for more.
type Limits struct {
	Bytes       int64 // of the file; zero is 32 MiB
	Side        int   // of the picture in pixels, either one; zero is 16,384
	Pixels      int64 // of the picture; memory follows from it, see Memory; zero is 50 Mi, which all but a few telephones stay under
	Frames      int   // of an animation; zero is 200
	FramePixels int64 // of an animation: its frames times its area; zero is 64 Mi
}

// MaxVariants is how many renditions may be asked for at once.
const MaxVariants = 16

// bytesPerPixel is the memory that decoding may take for each of Limits.Pixels: enough for a photograph of 50 Mi pixels in all usual
// forms. Pictures in forms that take more, such as progressive JPEG without subsampling, have to be smaller.
const bytesPerPixel = 8

// withDefaults is l with every zero replaced.
func (l Limits) withDefaults() Limits {
	fill := func(v *int64, zero int64) {
		if *v == 0 {
			*v = zero
		}
	}
	side, frames := int64(l.Side), int64(l.Frames)
	fill(&l.Bytes, 32<<20)
	fill(&side, 16384)
	fill(&l.Pixels, 50<<20)
	fill(&frames, 200)
	fill(&l.FramePixels, 64<<20)
	l.Side, l.Frames = int(side), int(frames)
	return l
}

// Memory is how many bytes Render holds at most under these limits, the picture and the renditions included: what a process that
// renders needs beside the Go runtime's own. Its collector has to be told, by GOMEMLIMIT, to stay near it.
func (l Limits) Memory() int64 {
	l = l.withDefaults()
	return l.Bytes + max(bytesPerPixel*l.Pixels, 4*l.FramePixels)*3/2 + 32<<20
}

// A Variant is one size in which the picture is wanted. It is never enlarged.
type Variant struct {
	Name          string // that its rendition will carry; any, but one each
	Width, Height int    // of the box that the picture has to fit into, in pixels; both at least 1
	Crop          bool   // whether to fill the box and cut off what is left over on both sides; of a smaller picture, the box's shape
}

// A Rendition is a picture that Render has made.
type Rendition struct {
	Variant       string // the name of the Variant that asked for it
	Format        Format // JPEG, PNG or GIF
	Width, Height int    // in pixels, upright
	Frames        int    // 1, or more for an animated GIF
	Data          []byte // the file
}

// Render decodes data, and encodes it anew once for every variant, in their order. Its errors are all *Refused.
//
// Only a picture that is complete is taken: one that was cut short is refused, as half of it is of no use to anybody. What follows
// its end is dropped.
func Render(data []byte, l Limits, variants []Variant) ([]Rendition, error) {
	l = l.withDefaults()
	if why := check(data, l, variants); why != "" {
		return nil, refused(why)
	}
	return guarded(func() ([]Rendition, error) {
		src, why := decode(data, l)
		if why != "" {
			return nil, refused(why)
		}
		return src.renditions(variants)
	})
}

// guarded makes a panic a refusal. The decoders are careful, and are fuzzed by their authors and by us: who gets past that has made
// this one upload fail.
func guarded(render func() ([]Rendition, error)) (made []Rendition, err error) {
	defer func() {
		if recover() != nil {
			made, err = nil, refused(decoderFailed)
		}
	}()
	return render()
}

// check refuses what can be refused without a look at the picture.
func check(data []byte, l Limits, variants []Variant) reason {
	names := map[string]bool{}
	for _, v := range variants {
		if names[v.Name] || v.Width < 1 || v.Height < 1 || v.Width > maxSide || v.Height > maxSide {
			return impossibleVariant
		}
		names[v.Name] = true
	}
	switch {
	case len(variants) == 0 || len(variants) > MaxVariants:
		return impossibleVariant
	case int64(len(data)) > l.Bytes:
		return tooManyBytes
	}
	return ""
}
