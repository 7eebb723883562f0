package attack

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image/png"
	"strings"
)

func bombOfPixels() Attack {
	return Attack{
		Name: "bomb-of-pixels", Threat: "T35", Group: "files",
		Title:  "Bob uploads a picture of a few bytes that takes gigabytes to draw, and it is given to whoever reads his post",
		Expect: []string{"input/file"},
		Honest: "Nothing but examination counts a picture's points. What a bomb does until it is found it does to the process that examines it, which has bounds of its own.",
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			const side = 30000
			return s.enclosed(ctx, "flag.png", flag(side), below, func(file, _ string) (bool, error) {
				a, err := s.Program("alice").Get(ctx, "/api/v1/files/"+file)
				if err != nil {
					return false, err
				}
				seen, err := png.DecodeConfig(strings.NewReader(a.Body))
				return err == nil && seen.Width == side && seen.Height == side, nil // what cannot be read explodes nowhere
			})
		},
	}
}

// flag is a PNG of side by side points, all of one colour, whose lines end early.
func flag(side uint32) []byte {
	var lines bytes.Buffer
	z := zlib.NewWriter(&lines)
	z.Write(make([]byte, 1<<16)) // a buffer takes everything
	z.Close()
	head := binary.BigEndian.AppendUint32(nil, side)
	head = append(binary.BigEndian.AppendUint32(head, side), 8, 6, 0, 0, 0)
	file := []byte("\x89PNG\r\n\x1a\n")
	for _, chunk := range []struct {
		kind string
		data []byte
	}{{"IHDR", head}, {"IDAT", lines.Bytes()}, {"IEND", nil}} {
		file = binary.BigEndian.AppendUint32(file, uint32(len(chunk.data)))
		whole := append([]byte(chunk.kind), chunk.data...)
		file = append(file, whole...)
		file = binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(whole))
	}
	return file
}
