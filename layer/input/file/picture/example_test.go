package picture_test

import (
	"errors"
	"fmt"

	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

func ExampleRender() {
	upload := withSegments(jpegOf(noise(1200, 900)), "\xe1Exif\x00\x00"+secret)
	made, err := picture.Render(upload, picture.Limits{}, []picture.Variant{
		{Name: "page", Width: 800, Height: 800},
		{Name: "thumbnail", Width: 320, Height: 320, Crop: true},
	})
	for _, r := range made {
		fmt.Println(r.Variant, r.Format, r.Width, r.Height, err)
	}
	_, err = picture.Render([]byte("<svg>"), picture.Limits{}, []picture.Variant{{Name: "page", Width: 800, Height: 800}})
	if r := new(picture.Refused); errors.As(err, &r) {
		fmt.Println(r.Name+":", r.Public)
	}
	// Output:
	// page jpeg 800 600 <nil>
	// thumbnail jpeg 320 320 <nil>
	// svg: SVG drawings cannot be taken, as they may contain programs; save it as PNG.
}
