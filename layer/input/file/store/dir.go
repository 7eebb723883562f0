package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

const (
	unfinished = ".unfinished" // the folder of what is being written; no organization's name begins with a dot
	leftover   = 24 * time.Hour
	maxSwept   = 1000 // leftovers that one OpenDir looks at
)

var errPlanted = errors.New("something is in the folder that this program did not put there")

// A Dir keeps objects in a folder, which is its alone: a folder per organization, in it folders of two characters, in them the
// objects. It never leaves the folder, whatever is planted there (os.Root), and takes nothing for an object that is not a plain file
// in plain folders. Several programs may share it.
type Dir struct{ root *os.Root }

// OpenDir opens a folder, which it makes if need be, for no one else to look into. It removes what writers left behind that ended a
// day ago or longer, and tries whether the file system does what Put needs.
func OpenDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of objects: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of objects: %w", err)
	}
	d := &Dir{root}
	for _, step := range []func() error{d.private, d.begin, d.sweep, d.try} {
		if err := step(); err != nil {
			root.Close()
			return nil, fmt.Errorf("opening the folder of objects: %w", err)
		}
	}
	return d, nil
}

// Close lets go of the folder. Contents that are open can be read to their end.
func (d *Dir) Close() error { return d.root.Close() }

func (d *Dir) private() error {
	info, err := d.root.Stat(".")
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return errors.New("others may look into it: chmod 700 it, or name another")
	}
	return err
}

func (d *Dir) begin() error { return d.folder(unfinished, ".") }

// sweep removes what was being written when a program ended. What is being written is younger.
func (d *Dir) sweep() error {
	folder, err := d.root.Open(unfinished)
	if err != nil {
		return err
	}
	defer folder.Close()
	entries, err := folder.ReadDir(maxSwept)
	if err != nil && err != io.EOF {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > leftover {
			err = d.root.Remove(unfinished + "/" + e.Name())
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // another program may be opening it as well
				return err
			}
		}
	}
	return nil
}

// try makes a file, gives it a second name and removes both: some file systems have no links, and better to hear it now.
func (d *Dir) try() error {
	one := unfinishedName()
	two := one + "-"
	defer d.root.Remove(one)
	defer d.root.Remove(two)
	if err := d.root.WriteFile(one, []byte("try"), 0o600); err != nil {
		return err
	}
	return d.root.Link(one, two)
}

func unfinishedName() string { return unfinished + "/" + strings.ToLower(rand.Text()) }

// Put implements Store. The content is written elsewhere in the folder and made durable; then a link puts it in its place, which
// happens wholly or not at all and never over another, and is made durable too.
func (d *Dir) Put(ctx context.Context, key Key, r io.Reader, size int64) error {
	organization, spread, name, err := key.parts()
	if err == nil {
		err = checkSize(size)
	}
	if err != nil {
		return fmt.Errorf("storing an object: %w", err)
	}
	content, at := newExact(ctx, r, size), unfinishedName()
	defer d.root.Remove(at)
	err = d.write(at, content)
	if _, fault := content.stop(); fault != nil {
		return fmt.Errorf("storing an object: %w", fault)
	}
	if err == nil {
		err = d.publish(at, organization, organization+"/"+spread, organization+"/"+spread+"/"+name)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("storing an object: %w", ErrExists)
	case err != nil:
		return unavailable(ctx, "storing an object", bare(err))
	}
	return nil
}

func (d *Dir) write(at string, content io.Reader) error {
	f, err := d.root.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// publish gives the file at from its place, below two folders.
func (d *Dir) publish(from, organization, spread, to string) error {
	if err := d.folder(organization, "."); err != nil {
		return err
	}
	if err := d.folder(spread, organization); err != nil {
		return err
	}
	if err := d.root.Link(from, to); err != nil {
		return err
	}
	if err := d.sync(spread); err != nil {
		d.root.Remove(to) // nobody has been told of it
		return err
	}
	return nil
}

// folder makes a folder in parent, unless it is there.
func (d *Dir) folder(path, parent string) error {
	err := d.root.Mkdir(path, 0o700)
	if err == nil {
		return d.sync(parent)
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	_, err = d.plain(path, fs.ModeDir)
	return err
}

// sync makes a folder's entries durable.
func (d *Dir) sync(path string) error {
	f, err := d.root.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// plain looks at what is there without following a link: os.Root keeps links from leading out of the folder, and this from leading
// from one organization to another.
func (d *Dir) plain(path string, kind fs.FileMode) (fs.FileInfo, error) {
	info, err := d.root.Lstat(path)
	if err == nil && info.Mode().Type() != kind {
		err = errPlanted
	}
	return info, err
}

// find looks for an object, folder by folder.
func (d *Dir) find(organization, spread, name string) (path string, info fs.FileInfo, err error) {
	path = organization + "/" + spread
	if _, err = d.plain(organization, fs.ModeDir); err == nil {
		_, err = d.plain(path, fs.ModeDir)
	}
	if err != nil {
		return "", nil, err
	}
	path += "/" + name
	info, err = d.plain(path, 0)
	return path, info, err
}

// Open implements Store.
func (d *Dir) Open(ctx context.Context, key Key) (*Content, error) {
	organization, spread, name, err := key.parts()
	if err != nil {
		return nil, fmt.Errorf("opening an object: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("opening an object: %w", err)
	}
	path, info, err := d.find(organization, spread, name)
	if err == nil {
		var c *Content
		if c, err = d.open(path, info); err == nil {
			return c, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening an object: %w", ErrNotFound)
	}
	return nil, unavailable(ctx, "opening an object", bare(err))
}

// open opens the very file that was found.
func (d *Dir) open(path string, found fs.FileInfo) (*Content, error) {
	f, err := d.root.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(info, found) {
		err = errPlanted
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Content{f, info.Size()}, nil
}

// Delete implements Store. Whoever has the object open can read it to its end.
func (d *Dir) Delete(ctx context.Context, key Key) error {
	organization, spread, name, err := key.parts()
	if err != nil {
		return fmt.Errorf("deleting an object: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("deleting an object: %w", err)
	}
	path, _, err := d.find(organization, spread, name)
	if err == nil {
		err = d.root.Remove(path)
	}
	if err == nil {
		err = d.sync(organization + "/" + spread)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unavailable(ctx, "deleting an object", bare(err))
	}
	return nil
}

// bare takes the path out of an error of the file system.
func bare(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return fmt.Errorf("%s: %w", path.Op, path.Err)
	case errors.As(err, &link):
		return fmt.Errorf("%s: %w", link.Op, link.Err)
	}
	return err
}
