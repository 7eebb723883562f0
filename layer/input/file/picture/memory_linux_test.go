package picture_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

// bounded are the limits under which memory is measured: a small part of what they are by default.
var bounded = picture.Limits{Bytes: 8 << 20, Pixels: 50 << 15, FramePixels: 2 << 20}

// TestMain lets the tests' own program render one file in a process of its own, of which the memory is looked at.
func TestMain(m *testing.M) {
	if file := os.Getenv("REDOUBT_PICTURE_RENDER"); file != "" {
		fmt.Println(peak(file))
		return
	}
	os.Exit(m.Run())
}

// peak renders and says the most memory that the process ever had, in KiB, and how it ended.
func peak(file string) string {
	limits := bounded
	if os.Getenv("REDOUBT_PICTURE_UNBOUNDED") != "" {
		limits = picture.Limits{}
	}
	_, err := picture.Render(must(os.ReadFile(file)), limits, []picture.Variant{whole, {Name: "1024", Width: 1024, Height: 1024}, thumb})
	for line := range strings.Lines(string(must(os.ReadFile("/proc/self/status")))) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return fmt.Sprint(strings.Fields(rest)[0], " ", err)
		}
	}
	return "0 no VmHWM"
}

// interlacedDeep is the most expensive PNG: sixteen bits, interlaced, all pixels invisible.
func interlacedDeep(w, h int) []byte {
	rows := 0
	for _, pass := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		across, down := (w-pass[0]+pass[2]-1)/pass[2], (h-pass[1]+pass[3]-1)/pass[3]
		rows += down * (1 + 8*across)
	}
	return bytes.Join([][]byte{pngHeader(uint32(w), uint32(h), 16, 6, 1), chunk("IDAT", deflated(strings.Repeat("\x00", rows))), chunk("IEND", "")}, nil)
}

// progressiveEven is a progressive JPEG of one colour: a scan of one bit for each block.
func progressiveEven(w, h int, sampling byte) []byte {
	frame := append([]byte{0xc2, 8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), 3}, 1, sampling, 0, 2, 0x11, 0, 3, 0x11, 0)
	codes := "\xc4\x00\x01" + strings.Repeat("\x00", 16) // one code, of one bit
	scan := "\xda\x03\x01\x00\x02\x00\x03\x00\x00\x00\x00"
	side := 8 * int(sampling&15)
	blocks := (w + side - 1) / side * ((h + side - 1) / side) * (int(sampling&15*(sampling>>4)) + 2)
	head := withSegments([]byte("\xff\xd8"), "\xdb\x00"+strings.Repeat("\x01", 64), string(frame), codes, scan)
	return bytes.Join([][]byte{head, make([]byte, blocks/8), {byte(1<<(8-blocks%8) - 1), 0xff, 0xd9}}, nil)
}

func TestMemoryStaysUnderItsBound(t *testing.T) { // SYSTEM N2
	photograph := image.NewYCbCr(image.Rect(0, 0, 1600, 1000), image.YCbCrSubsampleRatio444)
	deep := image.NewNRGBA64(photograph.Rect)
	deep.Set(0, 0, color.White)
	clear := image.NewNRGBA(photograph.Rect)
	for name, data := range map[string][]byte{
		"a photograph":                jpegOf(photograph),
		"progressive, in full colour": progressiveEven(960, 896, 0x11),
		"progressive":                 progressiveEven(1600, 1000, 0x22),
		"four bytes a pixel":          pngOf(clear),
		"eight bytes a pixel":         pngOf(deep),
		"interlaced":                  interlacedDeep(1200, 900),
		"an animation":                gifOf(animationOf(4, 800, 600)),
		"an animation of more frames": gifOf(animationOf(8, 500, 500)),
	} {
		took, ended := measured(t, data, "X=")
		if ended != "<nil>" {
			t.Fatalf("%s: %s", name, ended)
		}
		t.Logf("%s: %d MiB of %d", name, took>>20, bounded.Memory()>>20)
		if took > bounded.Memory() {
			t.Errorf("%s: took %d MiB, more than %d", name, took>>20, bounded.Memory()>>20)
		}
	}
	large := interlacedDeep(2400, 1800) // and the measure itself: a picture that is refused would take more
	if took, ended := measured(t, large, "X="); !strings.Contains(ended, "too_many_pixels") {
		t.Errorf("a picture that is too large: %d, %s", took, ended)
	}
	if took, _ := measured(t, large, "REDOUBT_PICTURE_UNBOUNDED=1"); took <= bounded.Memory() {
		t.Errorf("a picture that is too large takes %d MiB only", took>>20)
	}
}

// measured renders in a process of its own.
func measured(t *testing.T, data []byte, env string) (took int64, ended string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "picture")
	must(0, os.WriteFile(path, data, 0o600))
	child := exec.Command(os.Args[0])
	child.Env = []string{"REDOUBT_PICTURE_RENDER=" + path, "GOMEMLIMIT=" + strconv.FormatInt(bounded.Memory(), 10), env}
	out, err := child.Output()
	first, ended, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	kib, bad := strconv.ParseInt(first, 10, 64)
	if err != nil || bad != nil || kib == 0 {
		t.Fatalf("%q, %v", out, err)
	}
	return kib << 10, ended
}
