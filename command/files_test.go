package command_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/redoubt-dev/redoubt/internal/reals3"
)

// countFiles counts what lies beneath a folder.
func countFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A picture goes through the edge, the link and the layers into a bucket of a real S3 server, and comes back by its address alone.
func TestFilesInABucket(t *testing.T) { // SYSTEM N2
	s3 := reals3.Start(t, reals3.Config{})
	t.Setenv("REDOUBT_S3_ACCESS_KEY", s3.AccessKey)
	t.Setenv("REDOUBT_S3_SECRET_KEY", s3.SecretKey)
	dir := dataDir(t)
	up := mustStart(t, dir, "--files-s3", fmt.Sprintf("http://%s/%s/up?region=%s", s3.Endpoint, s3.Bucket, s3.Region))
	client := up.client(t)
	ask := func(method, path, key string, body []byte) (int, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, up.URL+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		if body != nil {
			r.Header.Set("Content-Type", "image/png")
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, text
	}
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	bob, dave := up.key(t, "bob@acme.test", "Acme"), up.key(t, "dave@globex.test", "Globex")
	before := countFiles(t, s3.Folder)
	code, text := ask("POST", "/api/v1/files?name=a.png", bob, b.Bytes())
	var made struct{ ID string }
	if err := json.Unmarshal(text, &made); err != nil || code != http.StatusCreated {
		t.Fatalf("%d %s", code, text)
	}
	if n := countFiles(t, s3.Folder) - before; n != 3 {
		t.Errorf("the bucket has %d objects more, want one for each size", n)
	}
	if n := countFiles(t, filepath.Join(dir, "spool")); n != 0 {
		t.Errorf("%d files are left in the spool", n)
	}
	at := "/api/v1/files/" + made.ID
	if code, text = ask("GET", at, bob, nil); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	if img, err := png.DecodeConfig(bytes.NewReader(text)); err != nil || img.Width != 30 {
		t.Errorf("what comes back: %+v, %v", img, err)
	}
	if code, _ = ask("GET", at, dave, nil); code != http.StatusNotFound {
		t.Errorf("another organization gets %d", code)
	}
	if code, text = ask("DELETE", at, bob, nil); code != http.StatusNoContent {
		t.Errorf("%d %s", code, text)
	}
	if n := countFiles(t, s3.Folder) - before; n != 0 {
		t.Errorf("%d objects are left in the bucket", n)
	}
}
