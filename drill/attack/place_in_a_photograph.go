package attack

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/jpeg"
)

func placeInAPhotograph() Attack {
	return Attack{
		Name: "place-in-a-photograph", Threat: "T37", Group: "files",
		Title:  "Alice reads in Bob's photograph where he took it",
		Expect: []string{"input/file"},
		Honest: "A photograph is drawn anew in one place. Nothing after it looks into pictures, and nothing before it may.",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			return s.enclosed(ctx, "home.jpg", photograph(canary), below, func(file, _ string) (bool, error) {
				a, err := s.Program("alice").Get(ctx, "/api/v1/files/"+file)
				return a.Holds(canary), err
			})
		},
	}
}

// photograph is a JPEG whose camera has written down where it was: an Exif block with a directory of the satellites' (TIFF 6.0, Exif 2.3
// section 4.6.6), in which place stands for the map that was used.
func photograph(place string) []byte {
	var picture, block bytes.Buffer
	jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 16, 16)), nil) // a buffer takes everything
	const first, satellites, words = 8, 26, 44
	write := func(values ...any) {
		for _, v := range values {
			binary.Write(&block, binary.LittleEndian, v)
		}
	}
	write([]byte("Exif\x00\x00"), []byte("II"), uint16(42), uint32(first))
	write(uint16(1), uint16(0x8825), uint16(4), uint32(1), uint32(satellites), uint32(0))
	write(uint16(1), uint16(0x0012), uint16(2), uint32(len(place)+1), uint32(words), uint32(0), []byte(place), byte(0))
	whole := append([]byte{}, picture.Bytes()[:2]...) // the start of the image, and after it the block
	whole = append(whole, 0xff, 0xe1)
	whole = binary.BigEndian.AppendUint16(whole, uint16(block.Len()+2))
	whole = append(whole, block.Bytes()...)
	return append(whole, picture.Bytes()[2:]...)
}
