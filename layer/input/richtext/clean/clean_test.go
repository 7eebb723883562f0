package clean_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/richtext/clean"
)

func TestWhatIsReferredToIsListed(t *testing.T) { // SYSTEM N3
	f, err := clean.HTML(`<a href="https://a.example">a</a><a href="HTTPS://a.example">b</a><a href="javascript:x">c</a><a href="mailto:d@e.example">d</a>` +
		`<img src="/files/f.png"><img src="/files/f.png" alt="again"><img src="/files/g"><img src="https://h.example/i"><code><a href="https://j.example">k</a><img src="/files/l"></code>`)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"https://a.example", "mailto:d@e.example"}; !slices.Equal(f.Links, want) {
		t.Errorf("got %q, want %q", f.Links, want)
	}
	if want := []string{"f.png", "g"}; !slices.Equal(f.Images, want) {
		t.Errorf("got %q, want %q", f.Images, want)
	}
}

func ExampleHTML() {
	text, err := clean.HTML(`<p onclick="x()">Hello <script>x()</script><a href="https://a.example">you</a></div>`)
	fmt.Println(text.HTML, text.Links, err)
	// Output: <p>Hello <a href="https://a.example" target="_blank" rel="noopener noreferrer">you</a></p> [https://a.example] <nil>
}
