package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// An Env is the prefix of the environment variables that hold secrets. With Env("REDOUBT_SECRET_"), the secret "pg-app" is the
// value of REDOUBT_SECRET_PG_APP, or the content of the file that REDOUBT_SECRET_PG_APP_FILE names. Both at once are refused,
// because only one can be the one that was meant.
type Env string

const fileSuffix = "_FILE"

// Get implements Store.
func (e Env) Get(ctx context.Context, name string) (Value, error) {
	if err := errors.Join(ctx.Err(), checkName(name)); err != nil {
		return Value{}, err
	}
	variable := string(e) + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	if strings.HasSuffix(variable, fileSuffix) {
		return Value{}, fmt.Errorf("looking up secret %q: a name ending in -file cannot be told from the file variable of another", name)
	}
	plain, hasPlain := os.LookupEnv(variable)
	path, hasPath := os.LookupEnv(variable + fileSuffix)
	switch {
	case hasPlain && hasPath:
		return Value{}, fmt.Errorf("reading secret %q: both %s and %s%s are set", name, variable, variable, fileSuffix)
	case hasPlain:
		return value(variable, []byte(plain))
	case hasPath:
		return readNamed(variable+fileSuffix, path)
	}
	return Value{}, notFound(name)
}

// readNamed reads the file that the operator names. Unlike in a Dir, symbolic links are followed: Kubernetes publishes secrets
// through them. What counts is the file that has been opened.
func readNamed(variable, path string) (Value, error) {
	// Non-blocking, so that a named pipe is refused instead of waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Value{}, fmt.Errorf("reading secret that %s names: no file %s", variable, path) // not ErrNotFound: it was promised
	}
	if err != nil {
		return Value{}, fmt.Errorf("reading secret that %s names: %w", variable, err)
	}
	defer f.Close()
	if err := checkHandedOver(f, path); err != nil {
		return Value{}, err
	}
	return readAll(f, path)
}

// checkHandedOver allows what Dir allows and one thing more: a file of root's that our group may read, which is how an
// orchestrator hands a secret to a process that is not root.
func checkHandedOver(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading secret: %w", err)
	}
	if owner(info) == 0 && os.Geteuid() != 0 && info.Mode().IsRegular() && info.Mode().Perm()&0o037 == 0 {
		return nil
	}
	return checkFile(info, path)
}

func readAll(f *os.File, path string) (Value, error) {
	content, err := io.ReadAll(io.LimitReader(f, Limit+1))
	if err != nil {
		return Value{}, fmt.Errorf("reading secret: %w", err)
	}
	return value(path, content)
}
