package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// record counts a request and writes its access line: no query, no header, no body, no name of a person. Text that a client chose is
// cut to a length.
func (e *Edge) record(r *http.Request, v *visit) {
	took := time.Since(v.began)
	status := v.answer.status
	if v.denied != nil {
		status = v.denied.status
		e.complain(r, v)
	}
	e.counts.request(v, status, took)
	if e.lines != nil {
		e.lines.write(func(b []byte) []byte { return v.line(b, r, status, took) })
	}
}

// complain tells those who run the edge what is theirs to mend; what clients do is told to those who look for it.
func (e *Edge) complain(r *http.Request, v *visit) {
	if v.denied.Cause == nil {
		return
	}
	level := slog.LevelDebug
	if v.denied.status == http.StatusBadGateway || v.denied.status == http.StatusGatewayTimeout {
		level = slog.LevelWarn
	}
	e.log.LogAttrs(context.Background(), level, "request failed", slog.String("request", v.id), slog.String("application", v.application()),
		slog.String("link", v.link), slog.String("kind", v.denied.slug), slog.String("cause", cut(v.denied.Cause.Error())))
}

// recordRefused writes the access line of a request that net/http never saw.
func (e *Edge) recordRefused(c *tls.Conn, reason string) {
	e.counts.refused.WithLabelValues("head").Inc()
	if e.lines == nil {
		return
	}
	client := clientIP(c.RemoteAddr().String()).String()
	e.lines.write(func(b []byte) []byte {
		l := newLine(b)
		l.number("status", http.StatusBadRequest)
		l.text("refused", reason)
		l.text("client", client)
		return l.end()
	})
}

func (v *visit) application() string {
	if v.site == nil {
		return ""
	}
	return v.site.Name
}

// kind says why the edge or its gate refused, if they did.
func (v *visit) kind() string {
	switch {
	case v.denied != nil:
		return v.denied.slug
	case v.refused != nil:
		return string(v.refused.Reason)
	}
	return ""
}

func (v *visit) line(b []byte, r *http.Request, status int, took time.Duration) []byte {
	l := newLine(b)
	l.text("id", v.id)
	l.text("application", v.application())
	l.text("method", r.Method)
	l.text("host", r.Host)
	l.text("path", r.URL.Path)
	l.text("protocol", r.Proto)
	l.number("status", int64(status))
	in := v.tunnelled.Load()
	if v.body != nil {
		in += v.body.count.Load()
	}
	l.number("in", in)
	l.number("out", v.answer.bytes)
	l.milliseconds("ms", took)
	l.text("client", v.client.String())
	l.text("rule", v.rule)
	l.text("by", v.by)
	l.text("session", v.session)
	l.text("link", v.link)
	if v.attempts > 1 {
		l.number("attempts", int64(v.attempts))
	}
	l.text("refused", v.kind())
	l.text("broken", v.broken)
	return l.end()
}

// A line is an object of JSON under way.
type line struct{ b []byte }

func newLine(b []byte) line {
	return line{append(appendTime(append(b, `{"time":"`...), time.Now()), '"')}
}

// A second is one that was formatted.
type second struct {
	unix int64
	text string
}

var lastSecond atomic.Pointer[second]

// appendTime formats each second once.
func appendTime(b []byte, now time.Time) []byte {
	s := lastSecond.Load()
	if unix := now.Unix(); s == nil || s.unix != unix {
		s = &second{unix, now.UTC().Format("2006-01-02T15:04:05.")}
		lastSecond.Store(s)
	}
	ms := now.Nanosecond() / 1e6
	return append(append(b, s.text...), '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z')
}

func (l *line) name(name string) {
	l.b = append(l.b, ',', '"')
	l.b = append(l.b, name...)
	l.b = append(l.b, '"', ':')
}

// text adds what is not empty.
func (l *line) text(name, value string) {
	if value != "" {
		l.name(name)
		l.b = quote(l.b, cut(value))
	}
}

func (l *line) number(name string, n int64) {
	l.name(name)
	l.b = strconv.AppendInt(l.b, n, 10)
}

func (l *line) milliseconds(name string, d time.Duration) {
	l.name(name)
	l.b = strconv.AppendFloat(l.b, float64(d.Microseconds())/1000, 'f', 3, 64)
}

func (l *line) end() []byte { return append(l.b, '}', '\n') }

// quote appends s as a string of JSON (RFC 8259 section 7). Whatever it holds, it is one line of ASCII: no terminal and no reader of
// logs is told anything by it.
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	plain := 0
	for plain < len(s) && s[plain] >= ' ' && s[plain] < 0x7f && s[plain] != '"' && s[plain] != '\\' {
		plain++
	}
	b = append(b, s[:plain]...)
	for _, c := range s[plain:] {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c >= ' ' && c < 0x7f:
			b = append(b, byte(c))
		case c > 0xffff:
			c -= 0x10000
			b = escape(escape(b, 0xd800+c>>10), 0xdc00+c&0x3ff)
		default:
			b = escape(b, c)
		}
	}
	return append(b, '"')
}

func escape(b []byte, c rune) []byte {
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[c>>12&15], digits[c>>8&15], digits[c>>4&15], digits[c&15])
}

func cut(s string) string {
	if len(s) <= 512 {
		return s
	}
	end := 512
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// Lines are written by a goroutine of their own: a disk that is slow or full loses some of them, and holds up nobody (SYSTEM P6).
type lines struct {
	to      io.Writer
	queue   chan *[]byte
	spare   sync.Pool
	dropped atomic.Int64
	stop    chan struct{}
	done    chan struct{}
	once    sync.Once
}

func newLines(to io.Writer) *lines {
	if to == nil {
		return nil
	}
	l := &lines{to: to, queue: make(chan *[]byte, MaxLines), stop: make(chan struct{}), done: make(chan struct{})}
	l.spare.New = func() any { b := make([]byte, 0, 512); return &b }
	go l.run(bufio.NewWriterSize(to, 64<<10))
	return l
}

func (l *lines) write(f func(b []byte) []byte) {
	b := l.spare.Get().(*[]byte)
	*b = f((*b)[:0])
	select {
	case l.queue <- b:
	default:
		l.dropped.Add(1)
	}
}

func (l *lines) run(w *bufio.Writer) {
	defer close(l.done)
	for {
		select {
		case b := <-l.queue:
			l.put(w, b)
		case <-l.stop:
			for len(l.queue) > 0 {
				l.put(w, <-l.queue)
			}
			w.Flush()
			return
		}
	}
}

// put writes out only when nothing waits: under load, many lines at a time.
func (l *lines) put(w *bufio.Writer, b *[]byte) {
	_, err := w.Write(*b)
	l.spare.Put(b)
	if err == nil && len(l.queue) == 0 {
		err = w.Flush()
	}
	if err != nil {
		l.dropped.Add(1)
		w.Reset(l.to)
	}
}

// close writes what waits, for at most a second.
func (l *lines) close() {
	if l == nil {
		return
	}
	l.once.Do(func() { close(l.stop) })
	select {
	case <-l.done:
	case <-time.After(time.Second):
	}
}

// lost is how many lines were not written.
func (l *lines) lost() int64 {
	if l == nil {
		return 0
	}
	return l.dropped.Load()
}
