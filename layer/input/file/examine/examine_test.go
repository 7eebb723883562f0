package examine_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/document"
	"github.com/redoubt-dev/redoubt/layer/input/file/examine"
	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
	"github.com/redoubt-dev/redoubt/layer/input/file/sandbox"
)

var sizes = []picture.Variant{{Name: "page", Width: 40, Height: 40}, {Name: "thumbnail", Width: 8, Height: 8, Crop: true}}

var all = slices.Concat(examine.Images, examine.Documents)

func made(t testing.TB, c examine.Config) *examine.Examiner {
	t.Helper()
	e, err := examine.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// examined hands a file over as an upload is: open, and without a name.
func examined(t testing.TB, e *examine.Examiner, data []byte, job examine.Job) (examine.Report, error) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err == nil {
		defer f.Close()
		_, err = f.Write(data)
	}
	if err := errors.Join(err, os.Remove(f.Name())); err != nil {
		t.Fatal(err)
	}
	return e.Examine(t.Context(), f, int64(len(data)), job)
}

// why is the name and the reason of a refusal, or nothing.
func why(t testing.TB, err error) string {
	t.Helper()
	var refusal *layer.Refusal
	var refused *examine.Refused
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &refusal) || refusal.By != layer.Input || refusal.Public == "":
		t.Fatalf("got %v, want a refusal by input", err)
	case !errors.As(err, &refused):
		return string(refusal.Reason)
	}
	return string(refusal.Reason) + " " + refused.Name
}

func photo(w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, color.RGBA{uint8(x * 3), uint8(y * 5), uint8(x ^ y), 255})
		}
	}
	return m
}

func encoded(encode func(*bytes.Buffer) error) []byte {
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func jpegOf(w, h int) []byte {
	return encoded(func(b *bytes.Buffer) error { return jpeg.Encode(b, photo(w, h), nil) })
}
func pngOf(w, h int) []byte {
	return encoded(func(b *bytes.Buffer) error { return png.Encode(b, photo(w, h)) })
}
func gifOf(w, h int) []byte {
	return encoded(func(b *bytes.Buffer) error { return gif.Encode(b, photo(w, h), nil) })
}

func webp(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("../picture/testdata/lossless.webp")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func zipOf(name, content string) []byte {
	return encoded(func(b *bytes.Buffer) error {
		w := zip.NewWriter(b)
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write([]byte(content))
		}
		return errors.Join(err, w.Close())
	})
}

// pdf is the smallest document.
var pdf = pdfWith("")

func pdfWith(more string) string {
	body := "%PDF-1.4\n1 0 obj\n<</Type/Catalog" + more + ">>\nendobj\n"
	return body + fmt.Sprintf("xref\n0 1\n0000000000 65535 f \ntrailer\n<</Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(body))
}

func TestPicturesAreDrawnAnew(t *testing.T) { // SYSTEM N2
	e := made(t, examine.Config{})
	for _, c := range []struct {
		name      string
		data      []byte
		kind      examine.Kind
		mediaType string
		extension string
		w, h      int
	}{
		{"a photograph", jpegOf(80, 60), "jpeg", "image/jpeg", ".jpg", 40, 30},
		{"a photograph called a document.pdf", jpegOf(80, 60), "jpeg", "image/jpeg", ".jpg", 40, 30},
		{"a photograph with an archive behind it.jpg", append(jpegOf(80, 60), zipOf("a", "b")...), "jpeg", "image/jpeg", ".jpg", 40, 30},
		{"a drawing.png", pngOf(80, 60), "png", "image/png", ".png", 40, 30},
		{"a drawing.gif", gifOf(30, 60), "gif", "image/png", ".png", 20, 40},
		{"a drawing.webp", webp(t), "webp", "image/png", ".png", 24, 16},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := examined(t, e, c.data, examine.Job{Name: c.name, Accept: all, Variants: sizes})
			if err != nil {
				t.Fatal(err)
			}
			if report.Kind != c.kind || c.mediaType != "" && (report.MediaType != c.mediaType || report.Extension != c.extension) ||
				report.Width != c.w || report.Height != c.h || len(report.Renditions) != 2 {
				t.Errorf("got %s %s %s, %d × %d, %d renditions", report.Kind, report.MediaType, report.Extension, report.Width, report.Height, len(report.Renditions))
			}
			for i, r := range report.Renditions {
				m, format, err := image.Decode(bytes.NewReader(r.Data))
				if err != nil || r.Variant != sizes[i].Name || "image/"+format != r.MediaType || m.Bounds().Dx() != r.Width || m.Bounds().Dy() != r.Height ||
					bytes.Contains(r.Data, []byte("PK\x03\x04")) {
					t.Errorf("the rendition %s is %s, %v, %v", r.Variant, format, m, err)
				}
			}
		})
	}
}

func TestDocumentsAreKeptAsTheyCame(t *testing.T) { // SYSTEM N2
	e := made(t, examine.Config{})
	for _, c := range []struct {
		name, data           string
		kind                 examine.Kind
		mediaType, extension string
	}{
		{"minutes.pdf", pdf, "pdf", "application/pdf", ".pdf"},
		{"minutes.jpg", pdf, "pdf", "application/pdf", ".pdf"},
		{"material.zip", string(zipOf("a.txt", "b")), "zip", "application/zip", ".zip"},
		{"notes.txt", "some notes", "txt", "text/plain; charset=utf-8", ".txt"},
		{"table.CSV", "a;b", "csv", "text/csv; charset=utf-8", ".csv"},
	} {
		report, err := examined(t, e, []byte(c.data), examine.Job{Name: c.name, Accept: all, Variants: sizes})
		if err != nil || report.Kind != c.kind || report.MediaType != c.mediaType || report.Extension != c.extension || report.Renditions != nil {
			t.Errorf("%s: got %+v, %v", c.name, report, err)
		}
	}
}

func TestEverythingElseIsRefusedByName(t *testing.T) { // SYSTEM N2
	e := made(t, examine.Config{Pictures: picture.Limits{Pixels: 1 << 20}, Documents: document.Limits{Ratio: 100}})
	bomb := []byte("GIF89a\xff\xff\xff\xff\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02D\x01\x00;")
	for _, c := range []struct {
		name   string
		data   string
		accept []examine.Kind
		want   string
	}{
		{"a program.bin", "\x7fELF\x02\x01\x01", all, "unsupported ending"},
		{"a program", "\x7fELF\x02\x01\x01", all, "unsupported linux_program"},
		{"a program.jpg", "MZ\x90\x00\x03\x00", all, "unsupported windows_program"},
		{"a photograph.exe", string(jpegOf(8, 8)), all, "unsupported ending"},
		{"a photograph.html", string(jpegOf(8, 8)), all, "unsupported ending"},
		{"a photograph.svg. ", string(jpegOf(8, 8)), all, "unsupported ending"},
		{"a photograph.php\x00.jpg", string(jpegOf(8, 8)), all, "unsupported ending"},
		{"a letter.docm", string(zipOf("a", "b")), all, "unsupported macro_ending"},
		{"a drawing.txt", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", all, "unsupported svg"},
		{"a page.txt", "<!doctype html><script>alert(1)</script>", all, "unsupported html"},
		{"a telephone's picture.heic", "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", all, "unsupported heic"},
		{"nothing known.xyz", "\x01\x02\x03\x04", all, "unsupported unknown_kind"},
		{"a text that is none.txt", "a\xffb", all, "invalid not_utf8"},
		{"a document where a picture is wanted.pdf", pdf, examine.Images, "unsupported not_accepted"},
		{"a picture where a document is wanted.pdf", string(jpegOf(8, 8)), examine.Documents, "unsupported not_accepted"},
		{"a GIF where a JPEG is wanted.jpg", string(gifOf(8, 8)), []examine.Kind{"jpeg"}, "unsupported not_accepted"},
		{"half a photograph.jpg", string(jpegOf(80, 80)[:600]), all, "invalid truncated"},
		{"a bomb of pixels.gif", string(bomb), all, "too-large too_wide"},
		{"a large photograph.jpg", string(jpegOf(1200, 1000)), all, "too-large too_many_pixels"},
		{"a PDF with a script.pdf", pdfWith("/OpenAction<</S/JavaScript/JS(x)>>"), all, "invalid pdf_automatic_action"},
		{"a page before an archive.zip", "<script>" + string(zipOf("a", "b")), all, "unsupported html"},
		{"a GIF that is an archive.gif", "GIF89a\x01\x00\x01\x00\x00\x00\x00" + string(zipOf("a", "b")), all, "invalid not_decodable"},
		{"an archive with a name that leads up.zip", string(zipOf("../a", "b")), all, "invalid bad_name"},
		{"an archive that is a bomb.zip", string(zipOf("a", strings.Repeat("\x00", 4<<20))), all, "too-large bomb"},
		{"no bytes.txt", "", all, "invalid empty"},
		{"many bytes.txt", strings.Repeat("x", 33<<20), all, "too-large too_many_bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := examined(t, e, []byte(c.data), examine.Job{Name: c.name, Accept: c.accept, Variants: sizes})
			if got := why(t, err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestARefusalHelps(t *testing.T) {
	e := made(t, examine.Config{})
	for _, c := range []struct {
		data   string
		accept []examine.Kind
		want   string
	}{
		{pdf, examine.Images, "Only JPEG, PNG, GIF and WebP can be taken here."},
		{pdf, []examine.Kind{"txt"}, "Only text can be taken here."},
		{"\x01", []examine.Kind{"pdf", "txt"}, "Files of this kind cannot be taken. Only PDF and text can be taken here."},
	} {
		_, err := examined(t, e, []byte(c.data), examine.Job{Accept: c.accept, Variants: sizes})
		var refusal *layer.Refusal
		if !errors.As(err, &refusal) || refusal.Public != c.want {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestAnEnding(t *testing.T) {
	for name, want := range map[string]string{
		"a.PDF": "pdf", "a.pdf.exe": "exe", "a.exe. . ": "exe", "a.exe\x00.pdf": "exe", "a": "", "": "", "a.": "", "../a.txt": "txt",
		"a.t\u202ext": "", "a." + strings.Repeat("x", 99): "", ".htaccess": "htaccess", "a.tar.gz": "gz", "a.exe\r\n": "exe",
	} {
		if got := examine.Ending(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// TestAWorkerThatLies has the answers of a worker that was taken over.
func TestAWorkerThatLies(t *testing.T) { // SYSTEM N2
	job := examine.Job{Accept: []examine.Kind{"jpeg", "pdf"}, Variants: sizes}
	small := jpegOf(8, 8)
	two := [][]byte{small, small}
	page := [][]byte{[]byte("<script>"), []byte("<script>")}
	const lie = "invalid lying_reader"
	for _, c := range []struct {
		name string
		said examine.Said
		want string
	}{
		{"the truth", examine.Said{Kind: "jpeg", Format: "jpeg", Width: 8, Height: 8, Frames: 1, Renditions: 2, Files: two}, ""},
		{"the truth of a document", examine.Said{Kind: "pdf"}, ""},
		{"a kind that was not asked for", examine.Said{Kind: "zip"}, lie},
		{"a kind that there is not", examine.Said{Kind: "html"}, lie},
		{"no kind", examine.Said{}, lie},
		{"a picture without files", examine.Said{Kind: "jpeg"}, lie},
		{"a document with files", examine.Said{Kind: "pdf", Format: "jpeg", Width: 8, Height: 8, Frames: 1, Renditions: 2, Files: two}, lie},
		{"one file too few", examine.Said{Kind: "jpeg", Format: "jpeg", Width: 8, Height: 8, Frames: 1, Renditions: 1, Files: two[:1]}, lie},
		{"more files than said", examine.Said{Kind: "jpeg", Format: "jpeg", Width: 8, Height: 8, Frames: 1, Renditions: 1, Files: two}, lie},
		{"a page for a picture", examine.Said{Kind: "jpeg", Format: "jpeg", Width: 8, Height: 8, Frames: 1, Renditions: 2, Files: page}, lie},
		{"a JPEG called a PNG", examine.Said{Kind: "jpeg", Format: "png", Width: 8, Height: 8, Frames: 1, Renditions: 2, Files: two}, lie},
		{"a format that there is not", examine.Said{Kind: "jpeg", Format: "html", Width: 8, Height: 8, Frames: 1, Renditions: 2, Files: two}, lie},
		{"a format that is not written", examine.Said{Kind: "jpeg", Format: "webp", Width: 8, Height: 8, Frames: 1, Renditions: 2, Files: [][]byte{webp(t), webp(t)}}, lie},
		{"a size that was not asked for", examine.Said{Kind: "jpeg", Format: "jpeg", Width: 9, Height: 8, Frames: 1, Renditions: 2, Files: two}, lie},
		{"a size of nothing", examine.Said{Kind: "jpeg", Format: "jpeg", Width: -1, Height: 8, Frames: 1, Renditions: 2, Files: two}, lie},
		{"an animated photograph", examine.Said{Kind: "jpeg", Format: "jpeg", Width: 8, Height: 8, Frames: 2, Renditions: 2, Files: two}, lie},
		{"a refusal with a sentence of its own", examine.Said{Refused: "Send your password to evil.example"}, lie},
		{"a refusal that there is", examine.Said{Kind: "pdf", Refused: "pdf_launch"}, "invalid pdf_launch"},
		{"a refusal of another package's", examine.Said{Kind: "pdf", Refused: "too_many_scans"}, lie},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := job.Believe(c.said); why(t, err) != c.want {
				t.Errorf("got %q, want %q", why(t, err), c.want)
			}
		})
	}
}

func TestAJobThatCannotBeCarriedOut(t *testing.T) {
	e := made(t, examine.Config{})
	for name, job := range map[string]examine.Job{
		"Job.Accept is empty":      {Variants: sizes},
		"a kind that there is not": {Accept: []examine.Kind{"exe"}},
		"Job.Variants are 0":       {Accept: examine.Images},
		"Job.Variants are 17":      {Accept: examine.Images, Variants: make([]picture.Variant, 17)},
		"is empty or longer":       {Accept: examine.Images, Variants: make([]picture.Variant, 1)},
	} {
		var refusal *layer.Refusal
		if _, err := examined(t, e, []byte(pdf), job); err == nil || errors.As(err, &refusal) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want one that says %q", err, name)
		}
	}
	if _, err := examine.New(examine.Config{Sandbox: sandbox.Config{Memory: 200 << 20}}); err == nil {
		t.Error("pictures of fifty million pixels fit into 200 MB")
	}
	if _, err := examine.New(examine.Config{Sandbox: sandbox.Config{Parts: -1}}); err == nil {
		t.Error("less than no parts will do")
	}
}

// most are variants that make the longest order there is.
func most() (all []picture.Variant) {
	for i := range picture.MaxVariants {
		all = append(all, picture.Variant{Name: strings.Repeat("x", 60) + strconv.Itoa(10+i), Width: 60000 + i, Height: 60000, Crop: false})
	}
	return all
}

func TestTheLongestOrderFits(t *testing.T) {
	report, err := examined(t, made(t, examine.Config{}), jpegOf(9, 9), examine.Job{Name: "a.jpg", Accept: all, Variants: most()})
	if err != nil || len(report.Renditions) != picture.MaxVariants {
		t.Errorf("got %d renditions, %v", len(report.Renditions), err)
	}
}

func TestAWorkerThatUsesUpItsTimeCostsOneUpload(t *testing.T) { // SYSTEM N2, T6
	e := made(t, examine.Config{Sandbox: sandbox.Config{CPU: time.Second, Wall: 50 * time.Second}})
	heavy := encoded(func(b *bytes.Buffer) error {
		return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(b, image.NewGray(image.Rect(0, 0, 7000, 7000)))
	})
	var large []picture.Variant
	for i := range picture.MaxVariants {
		large = append(large, picture.Variant{Name: strconv.Itoa(i), Width: 6999 - i, Height: 6999})
	}
	_, err := examined(t, e, heavy, examine.Job{Name: "a.png", Accept: examine.Images, Variants: large})
	if got := why(t, err); got != "invalid too_much_work" {
		t.Errorf("got %q", got)
	}
	if _, err := examined(t, e, jpegOf(8, 8), examine.Job{Name: "a.jpg", Accept: examine.Images, Variants: sizes}); err != nil {
		t.Errorf("the next one is refused: %v", err)
	}
}

func TestTooManyAtOnceAreSentAway(t *testing.T) { // SYSTEM T6
	e := made(t, examine.Config{Sandbox: sandbox.Config{Concurrent: 1, Waiting: 1}})
	large := jpegOf(3000, 2000)
	var group sync.WaitGroup
	reasons := make(chan string, 12)
	for range cap(reasons) {
		group.Go(func() {
			_, err := examined(t, e, large, examine.Job{Name: "a.jpg", Accept: examine.Images, Variants: sizes})
			reasons <- why(t, err)
		})
	}
	group.Wait()
	close(reasons)
	count := map[string]int{}
	for r := range reasons {
		count[r]++
	}
	if count["limited"] == 0 || count[""] < 2 || count["limited"]+count[""] != cap(reasons) {
		t.Errorf("got %v, want some done and the others limited", count)
	}
}

func TestAnUploaderWhoLeaves(t *testing.T) { // SYSTEM T6
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = made(t, examine.Config{}).Examine(ctx, f, 10, examine.Job{Accept: all, Variants: sizes})
	if got := why(t, err); !strings.HasPrefix(got, "unavailable") {
		t.Errorf("got %q", got)
	}
}

// TestTheParentStaysSmall examines a photograph of twelve megapixels: what it is unpacked to is nowhere in this process.
func TestTheParentStaysSmall(t *testing.T) { // SYSTEM N2, T6
	e := made(t, examine.Config{})
	large := jpegOf(4000, 3000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	report, err := examined(t, e, large, examine.Job{Name: "a.jpg", Accept: all, Variants: sizes})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	grown := after.TotalAlloc - before.TotalAlloc
	t.Logf("a file of %d KiB, %d KiB allocated", len(large)>>10, grown>>10)
	if grown > 1<<20 || len(report.Renditions) != 2 {
		t.Errorf("%d bytes were allocated in the parent", grown)
	}
}

func TestWhatProtectsIsTold(t *testing.T) {
	if got := made(t, examine.Config{}).Describe(); len(got) < 6 {
		t.Errorf("got %q", got)
	}
}

// BenchmarkExamine is what one small file costs, its process included.
func BenchmarkExamine(b *testing.B) {
	e := made(b, examine.Config{})
	for b.Loop() {
		if _, err := examined(b, e, []byte("some notes"), examine.Job{Name: "a.txt", Accept: examine.Documents}); err != nil {
			b.Fatal(err)
		}
	}
}
