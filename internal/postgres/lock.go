package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// A holder is who runs the cluster of a folder, as written into the folder's lock file.
type holder struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`          // the program's name only: arguments may hold secrets
	Socket  string `json:"socket,omitempty"` // the folder of the socket, if it is not in Dir
}

// A lock is held by one process at a time; the kernel lets go of it when that process ends. The file stays.
type lock struct{ file *os.File }

// take locks the cluster's folder, and answers with what the last holder wrote.
func take(c Config) (*lock, holder, error) {
	file, err := os.OpenFile(c.lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, holder{}, fmt.Errorf("locking the cluster's folder: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	last := readHolder(file)
	if err == nil {
		return &lock{file}, last, nil
	}
	file.Close()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, holder{}, fmt.Errorf("locking the cluster's folder: %w", err)
	}
	who := "another process"
	if last.PID != 0 {
		who = fmt.Sprintf("%s (pid %d)", last.Command, last.PID)
	}
	return nil, holder{}, problem("stop that one first, or use another folder", "%s is in use by %s", c.Dir, who)
}

// readHolder gives the zero holder for a file that is empty or cut short: it only serves messages and tidying up.
func readHolder(file *os.File) holder {
	var h holder
	content, err := io.ReadAll(io.NewSectionReader(file, 0, 4<<10))
	if err != nil || json.Unmarshal(content, &h) != nil {
		return holder{}
	}
	return h
}

// write says that we hold the lock, and where the socket is.
func (l *lock) write(socket string) error {
	content, err := json.Marshal(holder{os.Getpid(), filepath.Base(os.Args[0]), socket})
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("writing the lock file: %w", err)
	}
	if _, err := l.file.WriteAt(append(content, '\n'), 0); err != nil {
		return fmt.Errorf("writing the lock file: %w", err)
	}
	return nil
}

func (l *lock) release() { l.file.Close() }
