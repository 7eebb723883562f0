package command

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt/internal/postgres"
)

// db runs `redoubt db …` and answers as Run would: what was printed, the exit code, and error and hint together.
func db(t *testing.T, args ...string) (stdout string, code int, said string) {
	t.Helper()
	root := &cobra.Command{Use: "redoubt", SilenceErrors: true, SilenceUsage: true}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(dbCommand())
	var out strings.Builder
	root.SetOut(&out)
	root.SetArgs(append([]string{"db"}, args...))
	err := root.ExecuteContext(t.Context())
	var usage usageError
	switch {
	case err == nil:
		return out.String(), exitOK, ""
	case errors.As(err, &usage):
		code = exitUsage
	default:
		code = exitError
	}
	return out.String(), code, err.Error() + " | " + hintFor(err)
}

// server starts a database server for one test; its folder is where the server's account can reach, which t.TempDir is not.
func server(t *testing.T) *postgres.Cluster {
	t.Helper()
	binaries, err := postgres.Find(t.Context(), postgres.FindConfig{})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "redoubt-db-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	c, err := postgres.Start(t.Context(), postgres.Config{Binaries: binaries, Dir: filepath.Join(dir, "server"), Profile: postgres.Disposable, Password: "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(context.Background()) })
	return c
}

// SYSTEM D6: the exit status says whether there are errors.
func TestDBCheckAnswersScripts(t *testing.T) {
	address := server(t).ConnString("postgres", "hunter2", "postgres")
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	out, code, said := db(t, "check", "--database-url", address)
	if code != exitOK || !strings.Contains(out, "0 errors") || strings.Contains(out, "\x1b") {
		t.Errorf("an empty database: %d %s\n%s", code, said, out)
	}
	if _, err := conn.Exec(t.Context(), `create table note (tenant_id bigint, body text)`); err != nil {
		t.Fatal(err)
	}
	out, code, said = db(t, "check", "--database-url", address)
	if code != exitError || !strings.Contains(out, "alter table public.note enable row level security") || !strings.Contains(said, "1 fault of isolation | run the SQL") {
		t.Errorf("a table that is open: %d %s\n%s", code, said, out)
	}
	for _, format := range []string{"json", "sarif"} {
		out, code, _ := db(t, "check", "--database-url", address, "--format", format, "--schema", "public", "--tenant-column", "tenant_id")
		if code != exitError || !json.Valid([]byte(out)) || !strings.Contains(out, "RD101") {
			t.Errorf("%s: %d %s", format, code, out)
		}
	}
	t.Setenv("PGHOST", filepath.Dir(conn.Config().Host+"/x"))
	t.Setenv("PGPORT", "1") // the environment says where, and there nobody listens
	if _, code, said := db(t, "check"); code != exitError || !strings.Contains(said, "cannot be reached") {
		t.Errorf("from the environment: %d %s", code, said)
	}
	for _, args := range [][]string{{"--tenant-column", "hunter2"}, {"--schema", "hunter2"}} {
		_, code, said := db(t, append([]string{"check", "--database-url", address}, args...)...)
		if code != exitUsage || strings.Contains(said, "hunter2") || !strings.Contains(said, "names are written") {
			t.Errorf("%v: %d %s", args, code, said)
		}
	}
}

func TestDBCheckIsAskedWrongly(t *testing.T) {
	for name, args := range map[string][]string{
		"a format that is not":   {"check", "--format", "xml"},
		"a flag that is not":     {"check", "--fix"},
		"an argument":            {"check", "postgres://hunter2@localhost/x"},
		"an address that is not": {"check", "--database-url", "postgres://u:hunter2@[::1:x/"},
	} {
		if _, code, said := db(t, args...); code != exitUsage || said == "" || strings.Contains(said, "hunter2") {
			t.Errorf("%s: %d %s", name, code, said)
		}
	}
	if _, code, said := db(t, "check", "--database-url", "postgres://u:hunter2@127.0.0.1:1/x"); code != exitError || strings.Contains(said, "hunter2") || !strings.Contains(said, "check host and port") {
		t.Errorf("nobody listens: %d %s", code, said)
	}
}
