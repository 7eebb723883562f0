package knockout_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"net/http"
	"testing"
)

// TestWithoutExaminationAPictureIsStillOne keeps the knock-out from stopping attacks by showing nobody's pictures.
func TestWithoutExaminationAPictureIsStillOne(t *testing.T) { // SYSTEM N2
	c := start(t, named(t, "input/file")...)
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "?name=wall.png"} {
		status, _, body, err := c.Send(t.Context(), "bob's key", http.MethodPost, "/api/v1/files"+name, "image/png", picture.Bytes())
		var stored struct{ ID string }
		if err != nil || status != http.StatusCreated || json.Unmarshal([]byte(body), &stored) != nil {
			t.Fatalf("%q: uploading answers %d (%v): %.200s", name, status, err, body)
		}
		for _, variant := range []string{"small", "large"} {
			status, header, shown, err := c.Ask(t.Context(), "bob's key", http.MethodGet, "/api/v1/files/"+stored.ID+"/"+variant, nil)
			if err != nil || status != http.StatusOK || http.Header(header).Get("Content-Type") != "image/png" || shown != picture.String() {
				t.Errorf("%q: its %s size is answered %d (%v), as %s", name, variant, status, err, header["Content-Type"])
			}
		}
	}
}
