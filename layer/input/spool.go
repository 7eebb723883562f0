package input

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/redoubt-dev/redoubt/layer"
)

// SpoolConfig says where files wait while a request is at work, and how much of them there may be.
type SpoolConfig struct {
	Dir   string // a folder that nobody else can write to; empty means os.TempDir
	Bytes int64  // the most bytes of all files at once; zero means 1 GiB
	Files int    // the most files at once; zero means 64
}

// A Spool holds what has been uploaded until its request is answered. A file there has no name: it is gone when its request
// is, and after a crash too, on every system that lets an open file be removed (SYSTEM N2, T6). On others it goes with Upload.Close.
//
// One Spool serves all routes, and its bounds are those of the process: who meets them is refused and asked to come again. It may
// be used concurrently.
type Spool struct {
	dir string

	mu    sync.Mutex
	bytes int64 // how many more are taken
	files int
}

// NewSpool makes a spool, after trying that its folder takes files.
func NewSpool(c SpoolConfig) (*Spool, error) {
	var problems []error
	if c.Bytes < 0 {
		problems = append(problems, errors.New("input: Bytes of a spool is negative"))
	}
	if c.Files < 0 {
		problems = append(problems, errors.New("input: Files of a spool is negative"))
	}
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if c.Bytes == 0 {
		c.Bytes = 1 << 30
	}
	if c.Files == 0 {
		c.Files = 64
	}
	s := &Spool{dir: c.Dir, bytes: c.Bytes, files: c.Files}
	if f, err := s.open(); err != nil {
		problems = append(problems, fmt.Errorf("input: trying the folder of a spool: %w", err))
	} else {
		problems = append(problems, f.write.Close(), f.discard())
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return s, nil
}

// errFull says that a bound of the spool was met.
var errFull = errors.New("the spool is full")

// take sets room aside, or none of it.
func (s *Spool) take(files int, bytes int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if files > s.files || bytes > s.bytes {
		return errFull
	}
	s.files, s.bytes = s.files-files, s.bytes-bytes
	return nil
}

func (s *Spool) give(files int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files, s.bytes = s.files+files, s.bytes+bytes
}

// Receive takes a file that comes another way than by Bind, such as a program's own: at most most bytes, under a name that people see.
// Whoever has it calls Close.
func (s *Spool) Receive(name string, from io.Reader, most int64) (Upload, error) {
	f, err := s.fill(shownName(name), from, most)
	if err == errLong {
		err = refusal(layer.TooLarge, "The file is too large.", err)
	}
	if err != nil {
		return Upload{}, err
	}
	return Upload{f}, nil
}

// A spooled file is written through one handle and read through another, so that who is given it cannot change it.
type spooled struct {
	spool       *Spool
	write, read *os.File
	named       bool // whether it still stands in the folder
	name        string
	size        int64 // as much of the spool as it has taken
	sum         hash.Hash
	digest      [sha256.Size]byte
	once        sync.Once
	err         error
}

// open makes an empty file.
func (s *Spool) open() (*spooled, error) {
	write, err := os.CreateTemp(s.dir, "upload-")
	if err != nil {
		return nil, err
	}
	read, err := os.Open(write.Name())
	if err != nil {
		return nil, errors.Join(err, write.Close(), os.Remove(write.Name()))
	}
	named := os.Remove(write.Name()) != nil
	return &spooled{spool: s, write: write, read: read, named: named, sum: sha256.New()}, nil
}

// fill copies from into a new file, of at most most bytes; of more, errLong. What is not whole is gone at once.
func (s *Spool) fill(name string, from io.Reader, most int64) (*spooled, error) {
	if err := s.take(1, 0); err != nil {
		return nil, unkept(err)
	}
	f, err := s.open()
	if err != nil {
		s.give(1, 0)
		return nil, unkept(err)
	}
	f.name = name
	out := bufio.NewWriterSize(f, 64<<10)
	n, err := io.Copy(out, io.LimitReader(from, most+1))
	if err == nil && n > most {
		err = errLong
	}
	if err == nil {
		err = out.Flush()
	}
	if shut := f.write.Close(); err == nil && shut != nil {
		err = unkept(shut)
	}
	if err != nil {
		_ = f.close() // why it is not kept is worth more than why it was hard to remove
		return nil, err
	}
	f.sum.Sum(f.digest[:0])
	return f, nil
}

// Write implements io.Writer. The room is taken before the disk is.
func (f *spooled) Write(p []byte) (int, error) {
	if err := f.spool.take(0, int64(len(p))); err != nil {
		return 0, unkept(err)
	}
	f.size += int64(len(p))
	f.sum.Write(p)
	if n, err := f.write.Write(p); err != nil {
		return n, unkept(err)
	}
	return len(p), nil
}

// close gives back the file's place, once.
func (f *spooled) close() error {
	f.once.Do(func() {
		f.err = f.discard()
		f.spool.give(1, f.size)
	})
	return f.err
}

func (f *spooled) discard() error {
	err := f.read.Close()
	if f.named {
		err = errors.Join(err, os.Remove(f.read.Name()))
	}
	return err
}

// unkept refuses a file that cannot be kept, for want of room in the spool or on the disk. The cause holds no path.
func unkept(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = fmt.Errorf("%s: %w", at.Op, at.Err)
	}
	return refusal(layer.Unavailable, "Too many files are arriving at once. Please try again in a little while.",
		fmt.Errorf("spooling an upload: %w", err))
}
