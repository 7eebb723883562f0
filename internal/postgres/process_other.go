//go:build !linux

package postgres

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
)

// stragglers cannot be told from the children of other servers here; Start waits for them a while.
func stragglers(string) []int { return nil }

// runsIn reports whether pid is a server of PostgreSQL whose data directory is data, as its command line says.
func runsIn(pid int, data string) bool {
	line, err := output(context.Background(), "ps", "-o", "command=", "-p", strconv.Itoa(pid))
	if err != nil {
		return false
	}
	program, _, _ := strings.Cut(line, " -D ")
	name := filepath.Base(strings.TrimSpace(program))
	return (name == "postgres" || name == "postmaster") && strings.Contains(line, " -D "+data+" ")
}
