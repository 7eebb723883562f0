package pgtest

import (
	"context"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

// Folder is where this process's server lives.
func Folder() (string, error) {
	b, err := postgres.Find(context.Background(), postgres.FindConfig{})
	if err != nil {
		return "", err
	}
	return folder(b)
}

const ReaperEnv = reaperEnv
