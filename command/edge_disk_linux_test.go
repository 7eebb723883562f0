package command_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A disk that is full: the edge goes on, what needs the disk says so, and nothing has to be restarted afterwards.
func TestAFullDiskStopsNoRequest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Fatalf("making a small disk: %v; run this as root, in a container with CAP_SYS_ADMIN if in one", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	w := newEdgeWorldIn(t, dir, everybody, "")
	w.healthy()
	writing := w.keepWriting() // the application's file is on another disk
	filler := filepath.Join(dir, "filler")
	fill(t, filler)

	out, err := w.try("edge", "invite", "app", "--config", w.config)
	if exitCode(err) != 1 || !strings.Contains(out, "redoubt: error:") || strings.Contains(out, "panic") {
		t.Errorf("inviting on a full disk: %v\n%s", err, out)
	}
	w.connector.kill()
	w.startConnector() // its credential is read, and its link needs no disk
	if took := w.healthy(); took > recovery {
		t.Errorf("a connector needed %v to come back", took)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if !eventually(recovery, func() bool { _, err := w.try("edge", "invite", "app", "--config", w.config); return err == nil }) {
		t.Errorf("inviting does not work %v after there is room again", time.Since(began))
	}
	writing.end()
	if status, _ := w.ask("GET", "/", nil); status != http.StatusOK {
		t.Errorf("afterwards: %d", status)
	}
}

// fill writes a file until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 4096; size > 0; size /= 2 {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
}
