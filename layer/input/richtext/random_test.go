package richtext_test

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// pieces are put together in any order, which finds misplaced elements faster than changing bytes does.
var pieces = strings.Split(`<p>|</p>|<h3>|</h3>|<h6>|</h6>|<h1>|</h1>|<blockquote>|</blockquote>|<ul>|</ul>|<ol start="2">|</ol>|<li>|</li>|<pre>|</pre>|<hr>|`+
	`<a href="https://a.example/?b&amp;c">|<a href="https://d.example">|<a href="javascript:x">|</a>|<strong>|</strong>|<em>|</em>|<del>|</del>|<code>|</code>|<b>|</b>|<i>|</i>|`+
	`<img src="/files/a.png" alt="b">|<img src="x" alt="c">|<br>|<div>|</div>|<span class="d">|</span>|<section>|</section>|<address>|</address>|<!-- e -->|`+
	"f|g|h| |\n|\n|&lt;|&amp;|&#34;|'|é|<|&", "|")

// TestTheEnginesAgreeOnAnyMarkup (SYSTEM N3).
func TestTheEnginesAgreeOnAnyMarkup(t *testing.T) {
	rounds := 15_000
	if testing.Short() {
		rounds = 2000
	}
	r := rand.New(rand.NewPCG(1, 2))
	words, all := 0, 0
	for range rounds {
		var b strings.Builder
		for range 1 + r.IntN(14) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		holds(t, b.String())
		if !disputed(b.String()) {
			words++
			if !restructured(b.String()) {
				all++
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("of %d texts the engines read the same words in %d, and the same elements and addresses in %d", rounds, words, all)
	if words < rounds/4 || all < rounds/40 {
		t.Error("the engines were compared on too few of them to say anything")
	}
}
