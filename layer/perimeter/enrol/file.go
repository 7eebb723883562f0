package enrol

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

const temporary = ".new-" // begins the name of a file that is not whole yet

// save writes a private file, whole or not at all.
func save(file string, content []byte) (err error) {
	f, err := create(file, content)
	if err != nil {
		return err
	}
	defer os.Remove(f) // after the rename, there is nothing to remove
	if err := os.Rename(f, file); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	if runtime.GOOS == "windows" {
		return nil // directories cannot be opened there
	}
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil { // the new name outlasts a power failure
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

// create writes a new file beside the one that it is to replace.
func create(file string, content []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(file), temporary+"*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", file, err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("writing %s: %w", file, err)
	}
	return f.Name(), nil
}

// writable reports whether save would succeed: there is a place, and room for more than a credential takes.
func writable(file string) error {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("writing %s: it is not a file", file)
	}
	f, err := create(file, make([]byte, MaxCredential))
	if err != nil {
		return err
	}
	return os.Remove(f)
}

// load reads a private file. One that others can read is refused: its key may be known already.
func load(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxCredential {
		return nil, fmt.Errorf("%s is not a credential", file)
	}
	if has := info.Mode().Perm(); runtime.GOOS != "windows" && has&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o, so that others may have read or changed it: revoke the connector and invite it again, or run chmod 0600 on the file if you are sure that nobody did", file, has)
	}
	return io.ReadAll(io.LimitReader(f, MaxCredential))
}
