package secret

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A Dir is the path of a folder in which each file is one secret and the file's name is the secret's name. The folder has mode
// 0700, the files 0600, and both belong to the account that runs the program; anything else is refused. Symbolic links are
// refused as well.
type Dir string

// Get implements Store.
func (d Dir) Get(ctx context.Context, name string) (Value, error) {
	if err := errors.Join(ctx.Err(), checkName(name)); err != nil {
		return Value{}, err
	}
	root, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return Value{}, notFound(name)
	}
	if err != nil {
		return Value{}, err
	}
	defer root.Close()
	return d.read(root, name)
}

// open checks the folder that it has opened, not the one that had the name a moment before.
func (d Dir) open() (*os.Root, error) {
	named, err := os.Lstat(string(d))
	if err != nil {
		return nil, fmt.Errorf("opening folder of secrets: %w", err)
	}
	if !named.IsDir() {
		return nil, fmt.Errorf("opening folder of secrets: %s is not a folder (a symbolic link is not followed)", d)
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, fmt.Errorf("opening folder of secrets: %w", err)
	}
	opened, err := root.Stat(".")
	if err == nil {
		err = checkSame(named, opened, string(d))
	}
	if err == nil {
		err = checkPrivate(opened, string(d), "chmod 700")
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

func (d Dir) read(root *os.Root, name string) (Value, error) {
	path := filepath.Join(string(d), name)
	named, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Value{}, notFound(name)
	}
	if err != nil {
		return Value{}, fmt.Errorf("reading secret: %w", err)
	}
	if err := checkFile(named, path); err != nil {
		return Value{}, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Value{}, fmt.Errorf("reading secret: %w", err)
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil {
		return Value{}, fmt.Errorf("reading secret: %w", err)
	}
	if err := checkSame(named, opened, path); err != nil {
		return Value{}, err
	}
	return readAll(f, path)
}

func checkFile(info fs.FileInfo, path string) error {
	if info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("reading secret: %s is a symbolic link, which is not followed", path)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("reading secret: %s is not a regular file", path)
	}
	return checkPrivate(info, path, "chmod 600")
}

// checkPrivate refuses what another account could have read or written. Root is another account too: a program that does not
// run as root and is given root's folder has been given the wrong folder.
func checkPrivate(info fs.FileInfo, path, remedy string) error {
	if uid := owner(info); uid != os.Geteuid() {
		return fmt.Errorf("checking %s: it belongs to user id %d and not to %d, which runs this program", path, uid, os.Geteuid())
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("checking %s: its mode %04o lets other accounts in; run: %s %s", path, perm, remedy, path)
	}
	return nil
}

func checkSame(named, opened fs.FileInfo, path string) error {
	if !os.SameFile(named, opened) {
		return fmt.Errorf("checking %s: it was replaced while being opened", path)
	}
	return nil
}

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }
