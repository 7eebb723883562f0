package picture_test

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/disintegration/imaging"

	bench "github.com/redoubt-dev/redoubt/bench/picture"
	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

// quality and variants are the same for all three.
const quality = 82

var variants = []picture.Variant{
	{Name: "2048", Width: 2048, Height: 2048}, {Name: "1024", Width: 1024, Height: 1024}, {Name: "320", Width: 320, Height: 320, Crop: true},
}

// TestMain lets the tests' own program be the process that makes the pictures: its environment says how, of which file, and where.
func TestMain(m *testing.M) {
	make, ok := map[string]func([]byte) ([][]byte, error){"ours": ours, "imaging": others, "decoding": decoding}[os.Getenv("REDOUBT_BENCH_PICTURE")]
	if !ok {
		os.Exit(m.Run())
	}
	data, err := os.ReadFile(os.Args[1])
	if err == nil {
		var made [][]byte
		made, err = make(data)
		for i, b := range made {
			if err == nil {
				err = os.WriteFile(fmt.Sprintf("%s-%d.jpg", os.Args[2], i), b, 0o600)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "making pictures:", err)
		os.Exit(1)
	}
}

// ours decodes once for all three.
func ours(data []byte) (made [][]byte, err error) {
	renditions, err := picture.Render(data, picture.Limits{}, variants)
	for _, r := range renditions {
		made = append(made, r.Data)
	}
	return made, err
}

// others does what the documentation of disintegration/imaging shows, by the best of its filters, from one decoding.
func others(data []byte) ([][]byte, error) {
	m, err := imaging.Decode(bytes.NewReader(data), imaging.AutoOrientation(true))
	if err != nil {
		return nil, err
	}
	var made [][]byte
	for _, v := range variants {
		small := imaging.Fit(m, v.Width, v.Height, imaging.Lanczos)
		if v.Crop {
			small = imaging.Fill(m, v.Width, v.Height, imaging.Center, imaging.Lanczos)
		}
		var b bytes.Buffer
		if err := imaging.Encode(&b, small, imaging.JPEG, imaging.JPEGQuality(quality)); err != nil {
			return nil, err
		}
		made = append(made, b.Bytes())
	}
	return made, nil
}

// decoding is what no way to make pictures in Go can go below.
func decoding(data []byte) ([][]byte, error) {
	_, err := jpeg.Decode(bytes.NewReader(data))
	return nil, err
}

// A cost is what making the three pictures took.
type cost struct {
	cpu  time.Duration // of the kernel and of the program, in all processes
	peak int64         // bytes, of the largest process
}

// run adds what a command takes.
func (c *cost) run(b testing.TB, env, command string, args ...string) {
	b.Helper()
	cmd := exec.Command(command, args...)
	cmd.Env = []string{env, "PATH=" + os.Getenv("PATH")}
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v: %s", command, err, out)
	}
	c.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	c.peak = max(c.peak, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10) // getrusage(2): in KiB
}

// by has the tests' own program make the pictures.
func by(b testing.TB, how, file string) (c cost) {
	c.run(b, "REDOUBT_BENCH_PICTURE="+how, os.Args[0], file, filepath.Join(b.TempDir(), how))
	return c
}

// vips makes each picture by a call of its own, as imgproxy does for each address, and so reads no more of the photograph for it than
// the size needs.
func vips(b testing.TB, file string) (c cost) {
	for _, v := range variants {
		to := filepath.Join(b.TempDir(), v.Name+".jpg")
		args := []string{file, "-s", fmt.Sprintf("%dx%d", v.Width, v.Height), "-o", fmt.Sprintf("%s[Q=%d,strip]", to, quality)}
		if v.Crop {
			args = append(args, "--smartcrop", "centre")
		}
		c.run(b, "VIPS_CONCURRENCY=1", "vipsthumbnail", args...)
	}
	return c
}

func photograph(b testing.TB, width, height int) string {
	b.Helper()
	data, err := bench.Photograph(width, height)
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "photograph.jpg")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}

// BenchmarkTwelveMegapixels makes all pictures by all ways in turns. It fails if ours takes more than two and a half times the
// processor time that libvips takes.
func BenchmarkTwelveMegapixels(b *testing.B) { // SYSTEM N2
	const goal = 2.5
	file := photograph(b, 4032, 3024)
	_, err := exec.LookPath("vipsthumbnail")
	if err != nil {
		b.Log("libvips is left out, as its tool is not here: apt-get install --no-install-recommends libvips-tools")
	}
	ways := map[string]func() cost{
		"ours":     func() cost { return by(b, "ours", file) },
		"imaging":  func() cost { return by(b, "imaging", file) },
		"decoding": func() cost { return by(b, "decoding", file) },
	}
	if err == nil {
		ways["vips"] = func() cost { return vips(b, file) }
	}
	all := map[string]cost{}
	rounds := 0
	for b.Loop() {
		rounds++
		for name, way := range ways {
			c := way()
			all[name] = cost{all[name].cpu + c.cpu, max(all[name].peak, c.peak)}
		}
	}
	for name, c := range all {
		b.ReportMetric(float64(c.cpu.Milliseconds())/float64(rounds), name+"-cpu-ms")
		b.ReportMetric(float64(c.peak>>20), name+"-peak-MiB")
	}
	if err == nil {
		ratio := float64(all["ours"].cpu) / float64(all["vips"].cpu)
		b.ReportMetric(ratio, "ours/vips")
		if ratio > goal {
			b.Errorf("ours takes %.2f times the processor time of libvips, more than %v", ratio, goal)
		}
	}
}

// TestAllWaysMakeTheSamePictures keeps the measurement honest: the sizes are equal, whoever made them.
func TestAllWaysMakeTheSamePictures(t *testing.T) {
	file := photograph(t, 640, 480)
	for _, how := range []string{"ours", "imaging"} {
		to := filepath.Join(t.TempDir(), how)
		new(cost).run(t, "REDOUBT_BENCH_PICTURE="+how, os.Args[0], file, to)
		var sizes []string
		for i := range variants {
			f, err := os.Open(fmt.Sprintf("%s-%d.jpg", to, i))
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := jpeg.DecodeConfig(f)
			f.Close()
			sizes = append(sizes, fmt.Sprintf("%dx%d %v", cfg.Width, cfg.Height, err))
		}
		if got, want := strings.Join(sizes, ", "), "640x480 <nil>, 640x480 <nil>, 320x320 <nil>"; got != want {
			t.Errorf("%s: got %s, want %s", how, got, want)
		}
	}
	if c := by(t, "decoding", file); c.cpu <= 0 || c.peak <= 0 {
		t.Errorf("a process took %v and %d bytes", c.cpu, c.peak)
	}
}
