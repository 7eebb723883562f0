// Package reals3 starts an S3 server that we did not write, for tests: package store is to be tried against a server that checks
// signatures, checksums and conditions, and a double of our own would check them as we have read them. It is versitygw, which keeps
// objects in a folder.
//
// It is pinned, by the lock files in the folder pinned, which hold the digest of every module, and built into the folder of downloads
// by `go run ./internal/reals3/install`. Tests find it there; without it a test is skipped with that command, and fails where CI is
// set, so that nobody goes without unknowingly. It listens on loopback, with keys of its own for each start, and ends with the test.
package reals3

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// pinned are the lock files, which say what is built.
//
//go:embed pinned
var pinned embed.FS

// Command is what installs the server.
const Command = "go run ./internal/reals3/install"

// Place is the folder of one installation. Its name changes with anything that is pinned, so that an old one is never taken for it.
func Place() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	err = fs.WalkDir(pinned, "pinned", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := pinned.ReadFile(path)
		sum.Write([]byte(path + "\x00"))
		sum.Write(content)
		return err
	})
	return filepath.Join(cache, "redoubt", "reals3-"+hex.EncodeToString(sum.Sum(nil))[:16]), err
}

var errMissing = errors.New("the S3 server of tests is not installed")

// installed finds the server's program.
func installed() (program string, err error) {
	place, err := Place()
	if err != nil {
		return "", err
	}
	program = filepath.Join(place, "versitygw")
	if _, err := os.Stat(program); err != nil {
		return "", errMissing
	}
	return program, nil
}
