package acme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// An Exec changes the DNS by running a program, so that any provider can be used without being a part of this one. It is called as
//
//	program present _acme-challenge.app.example VALUE
//	program cleanup _acme-challenge.app.example VALUE
//
// and succeeds by ending with status 0, when the record can be seen or is gone. No shell is involved.
type Exec struct {
	// Program is its absolute path. Required.
	Program string
	// Env names the variables of our environment that the program gets, such as the one with its provider's token, beside PATH and HOME;
	// nil means no other.
	Env []string
	// Timeout is how long it may take; zero means DNSTimeout, which is also the most.
	Timeout time.Duration
}

const maxWords = 512 // bytes of what the program says last, for the log

// Present implements DNS.
func (e Exec) Present(ctx context.Context, name, value string) error {
	return e.run(ctx, "present", name, value)
}

// CleanUp implements DNS.
func (e Exec) CleanUp(ctx context.Context, name, value string) error {
	return e.run(ctx, "cleanup", name, value)
}

func (e Exec) run(ctx context.Context, args ...string) error {
	if !filepath.IsAbs(e.Program) {
		return errors.New("running the DNS program: its path is not absolute")
	}
	timeout := e.Timeout
	if timeout <= 0 || timeout > DNSTimeout {
		timeout = DNSTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	said := &tail{}
	cmd := exec.CommandContext(ctx, e.Program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = e.environment(), said, said, time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running the DNS program: %w: %s", errors.Join(context.Cause(ctx), err), said)
	}
	return nil
}

// environment is the little that a program needs. The edge's own may hold what is none of its business.
func (e Exec) environment() []string {
	var env []string
	for _, name := range append([]string{"PATH", "HOME"}, e.Env...) {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p[max(0, len(p)-maxWords):]...)
	t.kept = t.kept[max(0, len(t.kept)-maxWords):]
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(string(bytes.TrimSpace(t.kept)), "?") }
