package commons_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// What nobody should send, to the whole application (SYSTEM T6, N2): each thing is refused in words and within bounds, nothing of it
// stays, and somebody else is served meanwhile.

// The most that the process of the application may take while all of this is sent to it, and the most of one that looks at a file. Files are
// received to disk, and what is made of one is bounded by the examiner.
const (
	mostHeap   = 160 << 20 // above what it had before
	mostWorker = 1 << 30
)

// ---- things ----

func pngChunk(kind string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, kind...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// pngOf says that it has so many pixels, and has as many bytes of nothing as rows says.
func pngOf(width, height uint32, rows int) []byte {
	head := append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height), 8, 6, 0, 0, 0)
	var data bytes.Buffer
	z := zlib.NewWriter(&data)
	row := make([]byte, 1+4*width)
	for range rows {
		z.Write(row)
	}
	z.Close()
	return slices.Concat([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", head), pngChunk("IDAT", data.Bytes()), pngChunk("IEND", nil))
}

func small() image.Image {
	img := image.NewPaletted(image.Rect(0, 0, 64, 64), color.Palette{color.Black, color.White})
	for i := range img.Pix {
		img.Pix[i] = uint8(rand.IntN(2))
	}
	return img
}

func jpegFile(comment string) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, small(), nil); err != nil {
		panic(err)
	}
	if comment == "" {
		return b.Bytes()
	}
	segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xfe}, uint16(len(comment)+2))
	return slices.Concat(b.Bytes()[:2], segment, []byte(comment), b.Bytes()[2:])
}

func gifFile(frames int) []byte {
	g := gif.GIF{}
	for range frames {
		g.Image, g.Delay = append(g.Image, image.NewPaletted(image.Rect(0, 0, 1, 1), color.Palette{color.Black})), append(g.Delay, 1)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &g); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// zipFile is an archive of these names and contents, in pairs.
func zipFile(members ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w, err := z.Create(members[i])
		if err != nil {
			panic(err)
		}
		io.WriteString(w, members[i+1])
	}
	z.Close()
	return b.Bytes()
}

// zipBomb is so many mebibytes of zeros.
func zipBomb(mebibytes int) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("zeros.txt")
	if err != nil {
		panic(err)
	}
	for part := make([]byte, 1<<20); mebibytes > 0; mebibytes-- {
		w.Write(part)
	}
	z.Close()
	return b.Bytes()
}

func zipOfMany(entries int) []byte {
	var members []string
	for i := range entries {
		members = append(members, fmt.Sprint(i, ".txt"), "")
	}
	return zipFile(members...)
}

func zipInZip(depth int) []byte {
	inner := zipFile("a.txt", "x")
	for range depth {
		inner = zipFile("inner.zip", string(inner))
	}
	return inner
}

const wordType = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"

// wordFile is a document, with what else is in its archive.
func wordFile(mainType string, more ...string) []byte {
	return zipFile(append([]string{
		"[Content_Types].xml", `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="` + mainType + `"/></Types>`,
		"_rels/.rels", `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`,
		"word/document.xml", `<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body/></w:document>`,
	}, more...)...)
}

// pdfFile is a document without pages, of which the catalog says this too.
func pdfFile(catalog string) string {
	one := "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R" + catalog + ">>\nendobj\n"
	both := one + "2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n"
	return both + fmt.Sprintf("xref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n%010d 00000 n \ntrailer\n<</Size 3/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(one), len(both))
}

func zipped(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(content)
	z.Close()
	return b.Bytes()
}

// ---- what is left, and what it took ----

// left are the names of all files where a world stores them, and in the folder that it has made after that one, where they arrive.
func left(t *testing.T, w *layertest.W) (names []string) {
	t.Helper()
	store, number := filepath.Dir(w.FilesDir), 0
	if _, err := fmt.Sscanf(filepath.Base(store), "%d", &number); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{store, filepath.Join(filepath.Dir(store), fmt.Sprintf("%03d", number+1))} {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// clean holds the world to keeping nothing of what was refused.
func clean(t *testing.T, w *layertest.W) {
	t.Helper()
	if names := left(t, w); len(names) > 0 {
		t.Errorf("%d files are left, the first is %s", len(names), filepath.Base(names[0]))
	}
	for _, table := range []string{"files.file", "files.content", "files.object"} {
		if n := scan[int](t, w, `select count(*) from `+table+` where organization_id = $1`, w.Organization("Acme")); n > 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
}

// A meter looks every few milliseconds at what the process has taken.
type meter struct {
	before, peak uint64
	stop         chan struct{}
	done         sync.WaitGroup
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64() + sample[1].Value.Uint64() + sample[2].Value.Uint64()
}

func newMeter() *meter {
	m := &meter{before: heap(), stop: make(chan struct{})}
	m.done.Go(func() {
		for {
			select {
			case <-m.stop:
				return
			case <-time.After(3 * time.Millisecond):
				m.peak = max(m.peak, heap())
			}
		}
	})
	return m
}

// read ends the meter: what the process took above what it had, and the most that a child of it had.
func (m *meter) read(t *testing.T) (taken, worker uint64) {
	t.Helper()
	close(m.stop)
	m.done.Wait()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		t.Fatal(err)
	}
	return m.peak - min(m.before, m.peak), uint64(usage.Maxrss) << 10
}

// A bystander reads all the while, and says how long the longest answer took.
func bystander(t *testing.T, who *layertest.Caller) (leave func() (answers int, longest time.Duration)) {
	t.Helper()
	stop, answers, longest := make(chan struct{}), 0, time.Duration(0)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			begun := time.Now()
			if resp := who.Do(who.Request(http.MethodGet, "/api/v1/posts", nil)); resp.Code != http.StatusOK {
				t.Errorf("somebody else is answered with %d", resp.Code)
				return
			}
			answers, longest = answers+1, max(longest, time.Since(begun))
		}
	})
	return func() (int, time.Duration) {
		close(stop)
		done.Wait()
		return answers, longest
	}
}

// ---- bodies that are not files ----

func TestBodiesThatNobodyShouldSend(t *testing.T) { // SYSTEM T6, N1
	w := layertest.World(t, commons.App)
	bob, carol := w.Member("Acme"), w.Member("Acme").WithKey()
	page := bob.Browser()
	page.Request(http.MethodPost, "/posts", nil) // has read its page's token
	bob.Post("/api/v1/posts", kv{"body": "The honest twin."}).Created()
	raw := func(who *layertest.Caller, path, kind string, body io.Reader, length int64, headers ...string) *layertest.Response {
		r := who.Request(http.MethodPost, path, []byte("x"))
		r.Header.Set("Content-Type", kind)
		r.Body, r.ContentLength = io.NopCloser(body), length
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return who.Do(r)
	}
	text := func(who *layertest.Caller, path, kind, body string, headers ...string) func() *layertest.Response {
		return func() *layertest.Response {
			return raw(who, path, kind, strings.NewReader(body), int64(len(body)), headers...)
		}
	}
	const asJSON, asForm, asParts = "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	fields, parts, members := url.Values{"body": {"x"}}, new(strings.Builder), new(strings.Builder)
	for i := range 10_000 {
		fields.Set(fmt.Sprint("f", i), "x")
		fmt.Fprintf(parts, "--b\r\nContent-Disposition: form-data; name=\"f%d\"\r\n\r\nx\r\n", i)
	}
	members.WriteString(`{"body": "x"`)
	for i := range 50_000 {
		fmt.Fprintf(members, `, "f%d": 1`, i)
	}
	attacks := []struct {
		name   string
		send   func() *layertest.Response
		status int
		by     layer.Layer
	}{
		{"JSON nested 100,000 deep", text(bob, "/api/v1/posts", asJSON, strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)), 413, layer.Input},
		{"JSON nested 100,000 deep in a member", text(bob, "/api/v1/posts", asJSON, `{"body": `+strings.Repeat(`{"a":`, 100_000)+"1"+strings.Repeat("}", 100_001)), 413, layer.Input},
		{"a text of 10 MB", text(bob, "/api/v1/posts", asJSON, `{"body": "`+strings.Repeat("x", 10<<20)+`"}`), 413, layer.Transport},
		{"a text of 900 KB", text(bob, "/api/v1/posts", asJSON, `{"body": "`+strings.Repeat("x", 900<<10)+`"}`), 422, layer.Input},
		{"50,000 members", text(bob, "/api/v1/posts", asJSON, members.String()+"}"), 413, layer.Input},
		{"300,000 items", text(bob, "/api/v1/posts", asJSON, `{"body": "x", "files": [`+strings.Repeat(`1,`, 300_000)+`1]}`), 413, layer.Input},
		{"a number of 900,000 digits", text(bob, "/api/v1/products", asJSON, `{"name": "x", "price_cents": `+strings.Repeat("9", 900_000)+`}`), 403, layer.GateRoute},
		{"JSON without an end", func() *layertest.Response {
			return raw(bob, "/api/v1/posts", asJSON, io.MultiReader(strings.NewReader(`{"body": "`), endless{}), -1)
		}, 413, layer.Input},
		{"a form without an end", func() *layertest.Response {
			return raw(page, "/orders", asForm, io.MultiReader(strings.NewReader("notes="), endless{}), -1)
		}, 413, layer.Input},
		{"a form of parts without an end", func() *layertest.Response {
			return raw(page, "/posts", asParts, io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"body\"\r\n\r\n"), endless{}), -1)
		}, 413, layer.Input},
		{"a part whose head has no end", func() *layertest.Response {
			return raw(page, "/posts", asParts, io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: "), endless{}), -1)
		}, 400, layer.Input},
		{"more than was said", func() *layertest.Response { return raw(bob, "/api/v1/posts", asJSON, endless{}, 5<<30) }, 413, layer.Transport},
		{"10,000 fields", text(page, "/orders", asForm, fields.Encode()), 413, layer.Input},
		{"10,000 parts", text(page, "/posts", asParts, parts.String()+"--b--\r\n"), 413, layer.Input},
		{"10,000 parts that belong there", text(page, "/posts", asParts, strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"body\"\r\n\r\nx\r\n", 10_000)+"--b--\r\n"), 413, layer.Input},
		{"a form within a form", text(page, "/posts", asParts, "--b\r\nContent-Disposition: form-data; name=\"uploads\"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Disposition: file; filename=\"a\"\r\n\r\nx\r\n--c--\r\n--b--\r\n"), 400, layer.Input},
		{"a boundary of 10 KB", text(page, "/posts", "multipart/form-data; boundary="+strings.Repeat("b", 10<<10), "x"), 415, layer.Input},
		{"no end of parts", text(page, "/posts", asParts, "--b\r\nContent-Disposition: form-data; name=\"body\"\r\n\r\nx\r\n"), 400, layer.Input},
		{"JSON in gzip", text(bob, "/api/v1/posts", asJSON, string(zipped([]byte(`{"body": "x"}`))), "Content-Encoding", "gzip"), 415, layer.Input},
		{"a bomb in gzip", text(bob, "/api/v1/posts", asJSON, string(zipped(make([]byte, 64<<20))), "Content-Encoding", "gzip"), 415, layer.Input},
		{"a form in gzip", text(page, "/orders", asForm, string(zipped([]byte("quantity=1"))), "Content-Encoding", "gzip"), 415, layer.Input},
		{"a file in gzip", text(bob, "/api/v1/files", "image/png", string(zipped(picture())), "Content-Encoding", "gzip"), 415, layer.Input},
		{"JSON in deflate, brotli and nothing", text(bob, "/api/v1/posts", asJSON, `{"body": "x"}`, "Content-Encoding", "deflate, br, identity"), 415, layer.Input},
		{"a header of 70 KB", text(bob, "/api/v1/posts", asJSON, `{"body": "x"}`, "X-Long", strings.Repeat("x", 70<<10)), 400, layer.Transport},
		{"an address of 9 KB", text(bob, "/api/v1/files?name="+strings.Repeat("x", 9<<10), "image/png", "x"), 400, layer.Transport},
		{"150 parameters", text(bob, "/api/v1/files?name=a"+strings.Repeat("&name=a", 150), "image/png", "x"), 400, layer.Transport},
	}
	runtime.GC() // what the attacks are made of is not what they take
	leave, m := bystander(t, carol), newMeter()
	for _, c := range attacks {
		begun := time.Now()
		resp := c.send()
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("%s: answered after %v", c.name, took)
		}
		if by, reason := resp.RefusedBy(); resp.Code != c.status || by != c.by {
			t.Errorf("%s: got %d by %s (%s), want %d by %s", c.name, resp.Code, by, reason, c.status, c.by)
		}
		if kind := resp.Header.Get("Content-Type"); kind != "application/problem+json" && !strings.HasPrefix(kind, "text/html") || len(resp.Body) == 0 {
			t.Errorf("%s: refused without a word, as %s", c.name, kind)
		}
	}
	taken, _ := m.read(t)
	answers, longest := leave()
	clean(t, w)
	if taken > mostHeap || answers == 0 {
		t.Errorf("the process took %d MiB; somebody else had %d answers", taken>>20, answers)
	}
	t.Logf("the process took %d MiB; somebody else had %d answers, the longest in %v", taken>>20, answers, longest)
}

// endless is an x after the other.
type endless struct{}

// Read implements io.Reader.
func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// ---- files ----

func TestFilesThatNobodyShouldSend(t *testing.T) { // SYSTEM N2, T6
	w := layertest.World(t, commons.App)
	bob, carol := w.Member("Acme").WithKey(), w.Member("Acme").WithKey()
	put := func(name, kind string, content []byte) *layertest.Response {
		return bob.Post("/api/v1/files?name="+url.QueryEscape(name), layertest.File{Type: kind, Content: content})
	}
	back := func(made *layertest.Response) { bob.Delete("/api/v1/files/" + made.Created().ID).NoContent() }
	back(put("a.png", "image/png", picture())) // the honest twins
	back(put("a.docx", "", wordFile(wordType)))
	back(put("a.pdf", "application/pdf", []byte(pdfFile(""))))
	back(put("a.zip", "application/zip", zipFile("a.txt", "x")))
	clean(t, w)
	png := picture()
	attacks := []struct {
		name, file string
		content    []byte
		status     int
		without    string // of what is taken, this is gone
	}{
		{"a PNG that says 60,000 times 60,000", "a.png", pngOf(60_000, 60_000, 1), 413, ""},
		{"a PNG of 16,000 times 16,000", "a.png", pngOf(16_000, 16_000, 16), 413, ""},
		{"a PNG that says more than it has", "a.png", pngOf(5000, 5000, 10), 422, ""},
		{"a PNG of nothing", "a.png", pngOf(0, 0, 1), 422, ""},
		{"a GIF of 2,000 pictures", "a.gif", gifFile(2000), 413, ""},
		{"a GIF that says 65,535 times 65,535", "a.gif", slices.Concat([]byte("GIF89a\xff\xff\xff\xff"), gifFile(1)[10:]), 413, ""},
		{"a JPEG that says 65,500 times 65,500", "a.jpg", bytes.Replace(jpegFile(""), []byte{0, 64, 0, 64}, []byte{0xff, 0xdc, 0xff, 0xdc}, 1), 413, ""},
		{"an archive of 300 MiB of zeros", "a.zip", zipBomb(300), 413, ""},
		{"an archive of 20,000 files", "a.zip", zipOfMany(20_000), 413, ""},
		{"archives in archives in archives", "a.zip", zipInZip(5), 422, ""},
		{"an archive that climbs out", "a.zip", zipFile("../../etc/passwd", "x"), 422, ""},
		{"a document with macros", "a.docx", wordFile("application/vnd.ms-word.document.macroEnabled.main+xml", "word/vbaProject.bin", "x"), 422, ""},
		{"a document that hides its macros", "a.docx", wordFile(wordType, "word/vbaProject.bin", "x"), 422, ""},
		{"macros by name", "a.docm", wordFile(wordType), 415, ""},
		{"a picture in gzip", "a.png", zipped(png), 415, ""},
		{"a drawing called a picture", "a.png", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), 415, ""},
		{"a drawing", "a.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), 415, ""},
		{"a page called a picture", "a.png", []byte("<!doctype html><script>alert(1)</script>"), 415, ""},
		{"a program called a picture", "a.png", append([]byte("MZ\x90\x00\x03"), make([]byte, 2000)...), 415, ""},
		{"a program of another system called a picture", "a.png", append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 2000)...), 415, ""},
		{"a picture called a program", "a.exe", png, 415, ""},
		{"a picture called a page", "a.png.html", png, 415, ""},
		{"nothing", "a.png", nil, 400, ""},
		{"26 MB", "a.png", append(slices.Clone(png), make([]byte, 26<<20)...), 413, ""},
		{"a script that begins like a GIF", "a.gif", []byte("GIF89a/*\x00\x00*/=1;alert(1)//"), 422, ""},
		{"a page that has a PDF in it", "a.pdf", []byte("<html><script>alert(1)</script><!--" + pdfFile("")), 415, ""},
		{"a PDF with a script", "a.pdf", []byte(pdfFile("/OpenAction<</S/JavaScript/JS(app.alert(1))>>")), 422, ""},
		// What is taken is drawn again, and so without what it carried.
		{"a GIF with a script behind it", "a.gif", append(gifFile(1), "*/=1;alert(1)"...), 201, "alert(1)"},
		{"a PNG with an archive behind it", "a.png", append(slices.Clone(png), zipFile("a.txt", "hello")...), 201, "PK\x03\x04"},
		{"a JPEG with a program in its comment", "a.jpg", jpegFile("<?php system($_GET[0]); ?>"), 201, "<?php"},
		{"a picture that is called text by its sender", "a.png", png, 201, "PK"},
	}
	runtime.GC() // what the attacks are made of is not what they take
	leave, m := bystander(t, carol), newMeter()
	for _, c := range attacks {
		resp := put(c.file, "text/html", c.content)
		by, reason := resp.RefusedBy()
		if resp.Code != c.status || by != layer.Input && c.status != 201 && (by != layer.Transport || c.status != 413) {
			t.Errorf("%s: got %d by %s (%s) %s, want %d by input", c.name, resp.Code, by, reason, resp.Body, c.status)
			continue
		}
		if resp.Code == http.StatusCreated {
			got := bob.Get("/files/" + resp.Created().ID).OK()
			if bytes.Contains(got.Body, []byte(c.without)) || !strings.HasPrefix(got.Header.Get("Content-Type"), "image/") {
				t.Errorf("%s: still has it, as %s", c.name, got.Header.Get("Content-Type"))
			}
			back(resp)
		}
	}
	clean(t, w)
	heap, worker := m.read(t)
	answers, longest := leave()
	if heap > mostHeap || worker > mostWorker || answers == 0 || longest > 10*time.Second {
		t.Errorf("the process took %d MiB and one that looks at files %d; somebody else had %d answers, the longest in %v", heap>>20, worker>>20, answers, longest)
	}
	t.Logf("the process took %d MiB, one that looks at files at most %d; somebody else had %d answers, the longest in %v", heap>>20, worker>>20, answers, longest)
}

// Of each format, files that were cut off or damaged somewhere: many thousands are tried by the packages that read them, some here, by the
// whole way.
func TestDamagedFiles(t *testing.T) { // SYSTEM N2, T6
	w := layertest.World(t, commons.App)
	bob := w.Member("Acme").WithKey()
	m, outcomes := newMeter(), map[int]int{}
	for name, whole := range map[string][]byte{"a.png": picture(), "a.jpg": jpegFile("x"), "a.gif": gifFile(3), "a.docx": wordFile(wordType), "a.pdf": []byte(pdfFile(""))} {
		for i := range 40 {
			content := slices.Clone(whole)
			if i%2 == 0 {
				content = content[:rand.IntN(len(content)-1)+1]
			} else {
				for range 1 + rand.IntN(4) {
					content[rand.IntN(len(content))] ^= 1 << rand.IntN(8)
				}
			}
			resp := bob.Post("/api/v1/files?name="+name, layertest.File{Type: "image/png", Content: content})
			by, _ := resp.RefusedBy()
			if outcomes[resp.Code]++; resp.Code == http.StatusCreated {
				bob.Delete("/api/v1/files/" + resp.Created().ID).NoContent()
			} else if by != layer.Input || resp.Code != 415 && resp.Code != 422 && resp.Code != 413 {
				t.Errorf("%s damaged by %d: got %d by %s: %x", name, i, resp.Code, by, content)
			}
		}
	}
	clean(t, w)
	heap, worker := m.read(t)
	if heap > mostHeap || worker > mostWorker || outcomes[422] < 50 {
		t.Errorf("the process took %d MiB and one that looks at files %d; outcomes %v", heap>>20, worker>>20, outcomes)
	}
	t.Logf("outcomes %v; the process took %d MiB, one that looks at files at most %d", outcomes, heap>>20, worker>>20)
}

// ---- the slow, and those without an end, at the edge ----

// Whoever sends many files, slowly, stands in their own way and in nobody else's; and many such people are refused by the spool.
func TestTooManyFilesArriveAtOnce(t *testing.T) { // SYSTEM T6
	w := layertest.World(t, commons.App)
	bob, carol := w.Member("Acme"), w.Member("Acme").WithKey()
	var slow []*io.PipeWriter
	var all sync.WaitGroup
	var arriving atomic.Int32
	// begin sends the first byte of so many files, and waits until all in all so many are being read.
	begin := func(who *layertest.Caller, times int, until int32) {
		defer func() {
			for range 1000 {
				if arriving.Load() >= until {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("%d files are arriving, want %d", arriving.Load(), until)
		}()
		for range times {
			r := who.Request(http.MethodPost, "/api/v1/files", layertest.File{Type: "image/png", Content: picture()})
			body, writer := io.Pipe()
			r.Body, slow = body, append(slow, writer)
			go func() {
				if _, err := writer.Write([]byte("\x89")); err == nil {
					arriving.Add(1)
				}
			}()
			all.Go(func() {
				defer func() { _ = recover() }() // a test that has failed breaks off what it began
				who.Do(r)
			})
		}
	}
	upload := func(who *layertest.Caller) *layertest.Response {
		return who.Post("/api/v1/files?name=a.png", layertest.File{Type: "image/png", Content: picture()})
	}
	until := func(who *layertest.Caller) (resp *layertest.Response) {
		for range 300 {
			if resp = upload(who); resp.Code != http.StatusCreated {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		return resp
	}
	keyed := bob.WithKey()
	begin(keyed, 12, 8)
	until(keyed).Refused(http.StatusTooManyRequests, layer.Input)
	upload(bob.SignIn("Acme").WithKey()).Refused(http.StatusTooManyRequests, layer.Input) // another key is the same person
	upload(carol).Created()
	for i := range 7 { // 64 in all
		begin(w.Member("Acme").WithKey(), 12, int32(8*(i+2)))
	}
	refused := until(carol)
	carol.Get("/api/v1/posts").OK()
	for _, writer := range slow {
		writer.CloseWithError(io.ErrUnexpectedEOF)
	}
	all.Wait()
	refused.Refused(http.StatusServiceUnavailable, layer.Input)
	upload(carol).Created()
	upload(keyed).Created()
	if names := left(t, w); slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(filepath.Base(name), "upload-") }) {
		t.Errorf("what has not arrived is left: %d files", len(names))
	}
}

// send opens a connection of its own to the edge, sends head and then whatever body writes, and returns the status of the answer; 0 for a
// connection that was cut.
func (f *front) send(head string, body func(net.Conn) error) (status int, took time.Duration, sent int64) {
	conn, err := tls.Dial("tcp", f.addr, f.tls)
	if err != nil {
		f.t.Error(err)
		return 0, 0, 0
	}
	defer conn.Close()
	begun := time.Now()
	conn.SetDeadline(begun.Add(100 * time.Second))
	counted := &counter{Conn: conn}
	fmt.Fprint(conn, head)
	go body(counted)
	var answer [12]byte
	if _, err := io.ReadFull(conn, answer[:]); err == nil {
		fmt.Sscanf(string(answer[:]), "HTTP/1.1 %d", &status)
	}
	return status, time.Since(begun), counted.n.Load()
}

// A counter counts what is written to a connection.
type counter struct {
	net.Conn
	n atomic.Int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// drip writes one byte a second.
func drip(c net.Conn) error {
	for {
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		time.Sleep(time.Second)
	}
}

// pour writes chunks without an end.
func pour(c net.Conn) error {
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", 32<<10, strings.Repeat("x", 32<<10))
	for {
		if _, err := c.Write(chunk); err != nil {
			return err
		}
	}
}

// silent writes nothing.
func silent(net.Conn) error { return nil }

func TestTheSlowAndTheEndless(t *testing.T) { // SYSTEM T6
	t.Parallel() // it waits for slow clients
	w := layertest.World(t, commons.App)
	bob, carol := w.Member("Acme"), w.Member("Acme").WithKey()
	at, err := url.Parse(layertest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Host = at.Host
		w.Server.ServeHTTP(rw, r)
	}))
	stop := make(chan struct{})
	defer close(stop)
	go func() { // nobody asks here what was seen
		for {
			select {
			case <-f.seen:
			case <-stop:
				return
			}
		}
	}()
	key := bob.APIKey()
	head := func(path, kind, length string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n%s\r\n\r\n", path, f.host, key, kind, length)
	}
	const chunked = "Transfer-Encoding: chunked"
	leave, m := bystander(t, carol), newMeter()
	var all sync.WaitGroup
	for _, c := range []struct {
		name, head string
		body       func(net.Conn) error
		status     []int // 0 for a connection that is cut without a word
		within     time.Duration
		most       int64 // bytes that were taken
	}{
		{"a text, a byte a second", head("/api/v1/posts", "application/json", "Content-Length: 1000"), drip, []int{0, 400, 408}, 50 * time.Second, 100},
		{"a file, a byte a second", head("/api/v1/files", "image/png", "Content-Length: 100000"), drip, []int{0, 400, 408}, 50 * time.Second, 100},
		{"a file that does not come", head("/api/v1/files", "image/png", "Content-Length: 100000"), silent, []int{0, 400, 408}, 50 * time.Second, 0},
		{"a head that does not end", fmt.Sprintf("POST /api/v1/posts HTTP/1.1\r\nHost: %s\r\nX-Slow: ", f.host), drip, []int{0, 400, 408}, 30 * time.Second, 100},
		{"a head without an end", fmt.Sprintf("POST /api/v1/posts HTTP/1.1\r\nHost: %s\r\nX-Long: ", f.host), pour, []int{0, 400, 431}, 30 * time.Second, 8 << 20},
		{"a text without an end", head("/api/v1/posts", "application/json", chunked), pour, []int{413}, 30 * time.Second, 16 << 20},
		{"a file without an end", head("/api/v1/files", "image/png", chunked), pour, []int{413}, 60 * time.Second, 64 << 20},
		{"a chunk that says too much", head("/api/v1/files", "image/png", chunked) + "ffffffffffffffff\r\n", silent, []int{0, 400}, 50 * time.Second, 0},
	} {
		all.Go(func() {
			status, took, sent := f.send(c.head, c.body)
			if !slices.Contains(c.status, status) || took > c.within || sent > c.most {
				t.Errorf("%s: answered with %d after %v and %d bytes, want %v within %v and %d", c.name, status, took, sent, c.status, c.within, c.most)
			}
			t.Logf("%s: answered with %d after %v and %d bytes", c.name, status, took.Round(time.Millisecond), sent)
		})
	}
	all.Wait()
	taken, _ := m.read(t)
	answers, longest := leave()
	clean(t, w)
	if taken > mostHeap || answers == 0 || longest > 10*time.Second {
		t.Errorf("the process took %d MiB; somebody else had %d answers, the longest in %v", taken>>20, answers, longest)
	}
	t.Logf("the process took %d MiB; somebody else had %d answers, the longest in %v", taken>>20, answers, longest)
}
