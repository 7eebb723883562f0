package postgres

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

var (
	ParseVersion = parseVersion
	ParsePID     = parsePID
	System       = system
	CachePlace   = cachePlace
)

func Unpack(archive io.Reader, dir string) error { return unpack(archive, dir) }

func Install(archive *os.File, want, work, place string) error {
	return install(archive, want, work, place)
}

// LookOnlyIn has Find look through these patterns instead of the system's folders.
func LookOnlyIn(t *testing.T, all ...string) {
	before := patterns
	patterns = all
	t.Cleanup(func() { patterns = before })
}

// HasPin reports whether this system's package has a checksum.
func HasPin() bool { return pinned[system()] != "" }

const DownloadedPlace, PinnedVersion = downloadedPlace, pinnedVersion

// DownloadedBin is where a download in cacheDir has its programs.
func DownloadedBin(cacheDir string) string {
	return filepath.Join(cachePlace(cacheDir), downloadedPlace)
}
