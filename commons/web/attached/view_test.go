package attached_test

import (
	"math"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons/attachment"
	"github.com/redoubt-dev/redoubt/commons/web/attached"
)

func TestFilesAreShownWhereTheyBelong(t *testing.T) {
	width, height := 640, 480
	files := attached.Of([]attachment.File{
		{ID: "within", Kind: "png", Width: &width, Height: &height, Inline: true},
		{ID: "below", Kind: "jpeg", Width: &width, Height: &height},
		{ID: "saved", Kind: "pdf"},
		{ID: "half", Kind: "png", Width: &width}, // which no database has: it is not shown as what it may not be
	})
	for name, c := range map[string]struct {
		got  attached.Files
		want string
	}{
		"pictures":  {files.Pictures(), "below"},
		"documents": {files.Documents(), "saved half"},
		"kept":      {files.Kept(), "below saved half"},
	} {
		var ids []string
		for _, f := range c.got {
			ids = append(ids, f.ID)
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s are %q, want %q", name, got, c.want)
		}
	}
}

func TestSizesAreToldAsPeopleTellThem(t *testing.T) {
	for size, want := range map[int64]string{-1: "0 bytes", 0: "0 bytes", 999: "999 bytes", 1000: "1 KB", 18_400: "18 KB", 999_499: "999 KB", 999_500: "1.0 MB", 3_440_000: "3.4 MB", 26_214_400: "26 MB", math.MaxInt64: "9223372036855 MB"} {
		if got := (attached.File{Size: size}).Weight(); got != want {
			t.Errorf("%d is %q, want %q", size, got, want)
		}
	}
}

func TestWhatAFileIsIsSaidInWords(t *testing.T) {
	for _, c := range []struct{ kind, name, what, title string }{
		{"pdf", "plan.pdf", "PDF", "plan.pdf"},
		{"docx", "", "Word document", "Unnamed word document"},
		{"exe", "", "File", "Unnamed file"},
	} {
		f := attached.File{Kind: c.kind, Name: c.name}
		if f.What() != c.what || f.Title() != c.title {
			t.Errorf("%s is %q, called %q; want %q, called %q", c.kind, f.What(), f.Title(), c.what, c.title)
		}
	}
}

// The browser chooses by these, so they are those of what is stored: within a square, and never enlarged.
func TestWidthsAreThoseOfWhatIsStored(t *testing.T) {
	for _, c := range []struct{ width, height, small, medium int }{
		{2048, 1365, 320, 1024}, {900, 1600, 180, 576}, {48, 48, 48, 48}, {1, 65535, 1, 1}, {0, 0, 0, 0},
	} {
		if got := (attached.File{Width: c.width, Height: c.height}).Widths(); got.Small != c.small || got.Medium != c.medium {
			t.Errorf("%d×%d becomes %v, want %d and %d", c.width, c.height, got, c.small, c.medium)
		}
	}
}

func TestLimitsAreThoseOfTheDeclaration(t *testing.T) {
	type form struct {
		Some []int `maxItems:"4" maxBytes:"26214400" accept:"image/png,image/gif,.pdf"`
		One  int   `maxBytes:"10485760" accept:"image/png"`
	}
	some, one, none := attached.LimitsOf[form]("Some"), attached.LimitsOf[form]("One"), attached.LimitsOf[form]("None")
	if want := (attached.Limits{Accept: "image/png,image/gif,.pdf", Most: 4, Bytes: 25 << 20}); some != want {
		t.Errorf("got %v, want %v", some, want)
	}
	if one.Most != 1 || one.Weight() != "10 MB" || some.Pictures() != "image/png,image/gif" {
		t.Errorf("got %v, %s, %s", one, one.Weight(), some.Pictures())
	}
	if none != (attached.Limits{}) {
		t.Errorf("a field that is not there takes %v", none)
	}
}

func FuzzAnAddressLeadsOverHTTPSOrNowhere(f *testing.F) {
	for _, s := range []string{"https://a.example/", "javascript:alert(1)", "https://a@b.example", "HTTPS://a.example", "https:a", "//a.example", "https://\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to := attached.Address(s)
		if got := to.Address(); got != "#main" && (got != s || !strings.HasPrefix(got, "https://") || to.Site() == "nowhere") {
			t.Errorf("%q leads to %q, at %q", s, got, to.Site())
		}
	})
}
