// Package realclient holds what others wrote about the formats that we read and write, for tests: the official JSON Schema test suite,
// the schema of OpenAPI 3.1, and a generator that makes a TypeScript client of an OpenAPI document, with the compiler and the
// Node.js that run it. A document that only its authors can read describes nothing.
//
// All of it is pinned, by the lock files in the folder pinned, which hold the digest of every part, and installed into the folder of
// downloads by `go run ./internal/realclient/install`. Tests find it there; without it a test is skipped with that command, and fails
// where CI is set, so that nobody goes without unknowingly.
package realclient

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// pinned are the lock files, which say what is installed.
//
//go:embed pinned
var pinned embed.FS

// Command is what installs everything.
const Command = "go run ./internal/realclient/install"

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
	return filepath.Join(cache, "redoubt", "realclient-"+hex.EncodeToString(sum.Sum(nil))[:16]), err
}

var errMissing = errors.New("what others wrote about our formats is not installed")

func installed() (string, error) {
	place, err := Place()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(place, "suite", "type.json")); err != nil {
		return "", errMissing
	}
	if _, err := findNode(place); err != nil {
		return "", errMissing
	}
	return place, nil
}

// findNode prefers the Node.js that came with the installation, which the lock file pins for Linux: what a distribution brings is often
// too old. Elsewhere it is the machine's own.
func findNode(place string) (string, error) {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	own := filepath.Join(place, "node", "node_modules", "node-linux-"+arch, "bin", "node")
	if _, err := os.Stat(own); err == nil && runtime.GOOS == "linux" {
		return own, nil
	}
	return exec.LookPath("node")
}

// find returns the installation, or ends the test in the way that is right here.
func find(t testing.TB) string {
	t.Helper()
	place, err := installed()
	switch {
	case err == nil:
		return place
	case os.Getenv("CI") != "":
		t.Fatalf("%v: run %s", err, Command)
	default:
		t.Skipf("%v: run %s", err, Command)
	}
	panic("unreachable")
}

// Suite is the folder of the JSON Schema test suite's draft 2020-12: a file for each keyword, optional/format among them.
func Suite(t testing.TB) string {
	t.Helper()
	return filepath.Join(find(t), "suite")
}

// OpenAPISchema is the folder of the JSON Schema of OpenAPI 3.1, with its dialect.
func OpenAPISchema(t testing.TB) string {
	t.Helper()
	return filepath.Join(find(t), "node", "node_modules", "@apidevtools", "openapi-schemas", "schemas", "v3.1")
}

// runLimit bounds each program that a test runs.
const runLimit = 2 * time.Minute

// Client makes a client of an OpenAPI document in dir, together with program, which is TypeScript that imports "./client/index.js";
// checks both with every check of the compiler; and returns how to run the program. It fails t if the document describes something
// that program does not use, or the other way round.
func Client(t testing.TB, dir string, document, program []byte) func(ctx context.Context, environment ...string) ([]byte, error) {
	t.Helper()
	place := find(t)
	node, err := findNode(place)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"openapi.json": document, "program.ts": program, "tsconfig.json": []byte(compiler),
		"openapi-ts.config.mjs": []byte(generator), "package.json": []byte(`{"type":"module"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	modules := filepath.Join(place, "node", "node_modules")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	start := func(ctx context.Context, environment []string, args ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, runLimit)
		defer cancel()
		cmd := exec.CommandContext(ctx, node, args...)
		cmd.Dir, cmd.WaitDelay = dir, time.Second
		cmd.Env = append([]string{"HOME=" + dir, "PATH=" + filepath.Dir(node), "CI=true"}, environment...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("running %s: %w\n%s", filepath.Base(args[0]), err, out)
		}
		return out, err
	}
	for _, args := range [][]string{
		{filepath.Join(modules, "@hey-api", "openapi-ts", "bin", "run.js"), "--file", "openapi-ts.config.mjs"},
		{filepath.Join(modules, "typescript", "bin", "tsc"), "-p", "."},
	} {
		if _, err := start(t.Context(), nil, args...); err != nil {
			t.Fatal(err)
		}
	}
	return func(ctx context.Context, environment ...string) ([]byte, error) {
		return start(ctx, environment, "out/program.js")
	}
}

// generator is the client generator's configuration: a client that uses fetch, for the same module system.
const generator = `export default {
  input: 'openapi.json',
  output: { path: 'client', module: { extension: '.js' } },
  plugins: ['@hey-api/client-fetch', '@hey-api/typescript', '@hey-api/sdk'],
  logs: { level: 'warn', file: false },
}
`

// compiler is the TypeScript compiler's configuration: strict, and for the module system that Node.js has.
const compiler = `{
  "compilerOptions": {
    "strict": true, "noUncheckedIndexedAccess": true, "noImplicitReturns": true, "noUnusedLocals": true, "skipLibCheck": true,
    "module": "nodenext", "moduleResolution": "nodenext", "target": "es2023", "lib": ["es2023", "dom", "dom.iterable"], "types": ["node"],
    "outDir": "out", "rootDir": "."
  },
  "files": ["program.ts"]
}
`
