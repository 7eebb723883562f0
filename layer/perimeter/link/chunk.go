package link

import "sync"

// A chunk is a piece of an inbox. Small answers do not occupy large chunks. What an earlier stream left in one is never visible:
// only what lies between r and w is.
type chunk struct {
	buf  []byte
	r, w int
	next *chunk
}

const smallChunk, largeChunk = 4 << 10, 32 << 10

var (
	smallChunks = sync.Pool{New: func() any { return &chunk{buf: make([]byte, smallChunk)} }}
	largeChunks = sync.Pool{New: func() any { return &chunk{buf: make([]byte, largeChunk)} }}
)

func newChunk(n int) *chunk {
	pool := &largeChunks
	if n <= smallChunk {
		pool = &smallChunks
	}
	c := pool.Get().(*chunk)
	c.r, c.w, c.next = 0, 0, nil
	return c
}

func (c *chunk) release() {
	if len(c.buf) == smallChunk {
		smallChunks.Put(c)
		return
	}
	largeChunks.Put(c)
}

func (c *chunk) full() bool  { return c.w == len(c.buf) }
func (c *chunk) empty() bool { return c.r == c.w }

func (c *chunk) put(p []byte) int {
	n := copy(c.buf[c.w:], p)
	c.w += n
	return n
}

func (c *chunk) get(p []byte) int {
	n := copy(p, c.buf[c.r:c.w])
	c.r += n
	return n
}
