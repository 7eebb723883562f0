package store

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// maxIdle is how often a reader may return nothing and no error, one time after the other.
const maxIdle = 100

// An exact reads a content of known length. It holds the last bytes back until the end has been seen, so that whoever reads from it,
// and counts, never has a whole object out of one that is too long. It is the last to touch its reader: HTTP's client may go on to
// read a body after it has returned, and stop forbids it.
type exact struct {
	ctx  context.Context
	mu   sync.Mutex
	r    io.Reader
	left int64
	late error // what r returned along with its last bytes
	end  error // why there is no more: io.EOF, or a fault for which the storage is not to blame
}

// Exactly reads r, which must be size bytes long, and fails with ErrSize where it is not, before the last bytes have been given; with
// ctx's error when ctx ends; and when r returns nothing for ever. It is for a Store that wraps another, whose lengths differ.
func Exactly(ctx context.Context, r io.Reader, size int64) io.Reader { return newExact(ctx, r, size) }

func newExact(ctx context.Context, r io.Reader, size int64) *exact {
	return &exact{ctx: ctx, r: r, left: size}
}

// Read implements io.Reader.
func (x *exact) Read(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.end != nil || len(p) == 0 {
		return 0, x.end
	}
	n := 0
	if x.left > 0 {
		if n, x.end = x.next(p[:min(int64(len(p)), x.left)]); x.end != nil {
			x.end = x.fault(x.end)
			return 0, x.end
		}
		x.left -= int64(n)
	}
	if x.left > 0 {
		return n, nil
	}
	if x.end = x.last(); x.end != io.EOF {
		return 0, x.end // and the bytes stay here
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// last looks beyond the announced size.
func (x *exact) last() error {
	_, err := x.next(make([]byte, 1))
	switch err {
	case io.EOF:
		return io.EOF
	case nil:
		return fmt.Errorf("%w: it is longer", ErrSize)
	}
	return x.fault(err)
}

func (x *exact) fault(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: it is shorter", ErrSize)
	}
	return fmt.Errorf("reading the content: %w", err)
}

// next reads some bytes; or none, and says why.
func (x *exact) next(p []byte) (n int, err error) {
	for range maxIdle {
		if err, x.late = x.late, nil; err == nil {
			err = x.ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		if n, x.late = x.r.Read(p); n > 0 {
			return n, nil
		}
	}
	if x.late != nil {
		return 0, x.late
	}
	return 0, io.ErrNoProgress
}

// stop waits for a Read that is under way and lets no other begin. It reports whether everything has been read, and what was wrong
// with the content, if anything.
func (x *exact) stop() (whole bool, fault error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if whole = x.end == io.EOF; !whole {
		fault = x.end
	}
	x.end, x.r = io.ErrClosedPipe, nil
	return whole, fault
}
