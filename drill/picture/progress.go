package picture

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/drill/report"
)

// A Progress tells people how far a drill is: on a terminal one line that is rewritten in place, elsewhere a line for each
// configuration. It may be used concurrently. Writing goes on the terminal's time: what cannot be written is not written, for a drill
// does not fail because nobody listens.
type Progress struct {
	w     io.Writer
	width int
	color bool

	mu     sync.Mutex
	began  time.Time
	total  int
	done   int
	shown  bool   // a line stands on the terminal that may be rewritten
	latest string // what was said last
}

// NewProgress tells it to w, which is a terminal of so many columns; a width of zero says that it is none.
func NewProgress(w io.Writer, width int, color bool) *Progress {
	if width > 0 {
		width = min(max(width, leastWide), mostWide)
	}
	return &Progress{w: w, width: width, color: color, began: time.Now()}
}

// Tell tells that a configuration has been attacked.
func (p *Progress) Tell(e report.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total == 0 { // what was built before does not count for the pace
		p.began = time.Now().Add(-e.Took)
	}
	p.done, p.total, p.latest = e.Done, max(e.Total, e.Done), clean(e.Configuration, maxText)
	fault := clean(strings.Join(e.Faults, "; "), maxText)
	if p.width == 0 {
		p.write(strings.TrimSuffix(fmt.Sprintf("%s %s: %d did harm, %s: %s", p.counted(), p.latest, len(e.Harm), seconds(e.Took), fault), ": ") + "\n")
	} else if fault != "" {
		p.above(p.latest + ": " + fault)
	}
	p.draw()
}

// Say tells something by the way, which stays: what is being built, what has gone wrong.
func (p *Progress) Say(sentence string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sentence = clean(sentence, maxText)
	if p.width == 0 {
		p.write(sentence + "\n")
		return
	}
	p.above(sentence)
	p.draw()
}

// End takes the line away; what comes after it stands where it was.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.total = 0
}

func (p *Progress) counted() string {
	digits := len(fmt.Sprint(p.total))
	return fmt.Sprintf("%*d/%d", digits, p.done, p.total)
}

// above writes a line that stays, over the one that moves.
func (p *Progress) above(sentence string) {
	p.erase()
	for _, line := range broken(sentence, p.width-1) {
		p.write(line + "\n")
	}
}

// draw rewrites the line: bar, count, time that remains, what was last. It is never as wide as the terminal, which would break it.
func (p *Progress) draw() {
	if p.width == 0 || p.total == 0 {
		return
	}
	const bar = 20
	filled := min(bar, bar*p.done/p.total)
	full, empty := strings.Repeat("█", filled), strings.Repeat("░", bar-filled)
	words := fmt.Sprintf(" %s", p.counted())
	if left, ok := p.left(); ok {
		words += ", " + left + " left"
	}
	if p.latest != "" {
		words += " · " + p.latest
	}
	words = clip(words, p.width-1-bar)
	if p.color {
		full, empty = "\x1b[36m"+full+"\x1b[0m", "\x1b[2m"+empty+"\x1b[0m"
	}
	p.erase()
	p.write(full + empty + words)
	p.shown = true
}

// left is how long it will take at the pace so far; nothing while there is none, or when more were done than expected.
func (p *Progress) left() (string, bool) {
	if p.done == 0 || p.done >= p.total {
		return "", false
	}
	rest := time.Since(p.began) * time.Duration(p.total-p.done) / time.Duration(p.done)
	rest = rest.Round(time.Second)
	return fmt.Sprintf("%d:%02d", int(rest.Minutes()), int(rest.Seconds())%60), true
}

func (p *Progress) erase() {
	if p.shown {
		p.write("\r\x1b[K")
		p.shown = false
	}
}

func (p *Progress) write(text string) {
	_, _ = io.WriteString(p.w, text)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
