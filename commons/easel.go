package commons

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"

	"github.com/redoubt-dev/redoubt/commons/account"
	"github.com/redoubt-dev/redoubt/commons/attachment"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/input/file"
)

// An easel has what the example's people paint taken the way that everybody's files are: received, examined and drawn anew (SYSTEM N2).
type easel struct {
	files *file.Files
	spool *input.Spool
}

// newEasel is nil where no files are kept; then the example has none.
func newEasel(files *file.Files) (*easel, error) {
	if files == nil {
		return nil, nil
	}
	spool, err := input.NewSpool(input.SpoolConfig{})
	if err != nil {
		return nil, err
	}
	return &easel{files, spool}, nil
}

// hang keeps content as who's, until something of theirs holds it.
func (e *easel) hang(ctx context.Context, who layer.Principal, s sketch) (id file.ID, err error) {
	err = e.receive(s, func(up input.Upload) error {
		id, err = e.files.Keep(ctx, who, up, up.Name(), attachment.Attachment)
		return err
	})
	return id, err
}

// portray gives somebody their portrait, if one was painted.
func (e *easel) portray(ctx context.Context, people *account.Account, who layer.Principal, first string) error {
	portrait, painted := portraits[first]
	if e == nil || !painted {
		return nil
	}
	return e.receive(portrait, func(up input.Upload) error {
		_, err := people.Portray(ctx, who, up)
		return err
	})
}

// receive gives what is painted to keep as a request would bring it.
func (e *easel) receive(s sketch, keep func(input.Upload) error) error {
	content := s.content()
	up, err := e.spool.Receive(s.name, bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return fmt.Errorf("receiving %s: %w", s.name, err)
	}
	defer up.Close()
	if err := keep(up); err != nil {
		return fmt.Errorf("keeping %s: %w", s.name, err)
	}
	return nil
}

// A sketch is a file of the example's.
type sketch struct {
	name    string
	content func() []byte
}

// written is a sketch of words.
func written(name, words string) sketch { return sketch{name, func() []byte { return []byte(words) }} }

// painted is a sketch of discs on a slope from one colour to another. Lengths are parts of its height.
func painted(name string, width, height int, above, below uint32, discs ...disc) sketch {
	return sketch{name, func() []byte {
		m := image.NewRGBA(image.Rect(0, 0, width, height))
		for y := range height {
			for x := range width {
				m.SetRGBA(x, y, shade(float64(x)/float64(height), float64(y)/float64(height), above, below, discs, 1/float64(height)))
			}
		}
		var out bytes.Buffer
		if err := png.Encode(&out, m); err != nil {
			return nil // which is refused as no picture; memory takes what it is given
		}
		return out.Bytes()
	}}
}

// A disc is round, lit from above, and stands before those that were named earlier.
type disc struct {
	x, y, radius float64
	colour       uint32
}

func shade(x, y float64, above, below uint32, discs []disc, pixel float64) color.RGBA {
	c := mix(rgb(above), rgb(below), y)
	for _, d := range discs {
		away := math.Hypot(x-d.x, y-d.y)
		light := mix(rgb(d.colour), [3]float64{255, 255, 255}, 0.22*math.Max(0, (d.y-y)/d.radius))
		c = mix(c, light, math.Min(1, math.Max(0, (d.radius-away)/pixel)))
	}
	return color.RGBA{uint8(c[0]), uint8(c[1]), uint8(c[2]), 255}
}

func rgb(c uint32) [3]float64 {
	return [3]float64{float64(c >> 16), float64(c >> 8 & 255), float64(c & 255)}
}

func mix(a, b [3]float64, part float64) [3]float64 {
	for i := range a {
		a[i] += (b[i] - a[i]) * part
	}
	return a
}

// What the example's people have painted.
var (
	wall = painted("north wall.png", 1280, 800, 0x8c9aa6, 0x4d5963,
		disc{.22, .86, .05, 0x2f6f9f}, disc{.34, .71, .035, 0x2f6f9f}, disc{.3, .55, .045, 0x2f6f9f}, disc{.46, .43, .03, 0x2f6f9f}, disc{.58, .3, .05, 0x2f6f9f}, disc{.73, .19, .035, 0x2f6f9f}, disc{.9, .12, .06, 0x2f6f9f},
		disc{.95, .84, .045, 0xd97706}, disc{1.08, .66, .03, 0xd97706}, disc{1.0, .5, .05, 0xd97706}, disc{1.2, .38, .035, 0xd97706}, disc{1.3, .22, .045, 0xd97706},
		disc{.62, .78, .03, 0xb3465a}, disc{.72, .6, .045, 0xb3465a}, disc{.86, .47, .025, 0xb3465a}, disc{1.42, .7, .06, 0xb3465a})
	tile44 = painted("tile 44.png", 900, 900, 0xd8cbb6, 0xbfae94,
		disc{.5, .5, .42, 0x8a5a3c}, disc{.5, .5, .39, 0x1f8a70}, disc{.43, .42, .2, 0x37a98a}, disc{.6, .62, .13, 0x14624f}, disc{.37, .36, .07, 0x9fe0c8})
	kiln = painted("kiln.png", 1200, 800, 0x2a1b16, 0x120c0a,
		disc{.75, .52, .4, 0x5a2a16}, disc{.75, .53, .31, 0xa3431a}, disc{.75, .54, .22, 0xe07b2a}, disc{.75, .55, .12, 0xf8c15c})
	ropes = written("ropes.csv", "rope,length,hung,retired\n3,60 m,2023-04-02,today\n4,60 m,2023-04-02,today\n5,70 m,2022-11-19,today\n6,70 m,2022-11-19,today\n7,80 m,today,\n")

	portraits = map[string]sketch{
		"Alice": painted("alice.png", 512, 512, 0xf2c879, 0xe39b5c, disc{.5, 1.02, .42, 0x0f766e}, disc{.5, .42, .22, 0x6b3f2a}, disc{.5, .45, .18, 0xf0c6a4}),
		"Dave":  painted("dave.png", 512, 512, 0x9cc4d4, 0x5f8fa6, disc{.5, 1.04, .44, 0x8a4b2f}, disc{.5, .44, .2, 0xc98e6b}, disc{.5, .3, .15, 0x3a2a22}),
	}
)
