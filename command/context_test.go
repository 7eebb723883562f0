package command

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
)

func TestDBContext(t *testing.T) { // SYSTEM D2
	c := server(t)
	admin := c.ConnString("postgres", "hunter2", "postgres")
	if _, err := migrate.Run(t.Context(), migrate.Config{Admin: admin, Lines: redoubt.LayerSchema(),
		Migrator: func() string { return c.ConnString("redoubt_migrator", "hunter2", "postgres") }, Roles: map[string]string{"redoubt_migrator": "hunter2"}}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"as it was made", nil, exitOK, "in a parameter of the server"},
		{"sealed", []string{"--keep", "seal"}, exitOK, "under a seal, by key 01, which is 0 hours old"},
		{"rotated", []string{"--rotate-seal"}, exitOK, "under a seal, by key 02"},
		{"and back", []string{"--keep", "parameter"}, exitOK, "in a parameter of the server"},
		{"in no way that there is", []string{"--keep", "hunter2"}, exitUsage, "--keep is parameter or seal"},
		{"nowhere", []string{"--database-url", "postgres://a:hunter2@[bad"}, exitUsage, "not a database's address"},
	} {
		out, code, said := db(t, append([]string{"context", "--database-url", admin}, tt.args...)...)
		if text := out + said; code != tt.code || !strings.Contains(text, tt.says) || strings.Contains(said, "hunter2") {
			t.Errorf("%s: code %d, want %d: %s", tt.name, code, tt.code, text)
		}
	}
	var k keeping
	out, _, _ := db(t, "context", "--json", "--database-url", admin)
	if err := json.Unmarshal([]byte(out), &k); err != nil || k != (keeping{Keep: "parameter", Granted: true, Key: "02"}) {
		t.Errorf("as JSON: %v, %s", err, out)
	}
	// A restored database finds the right on the parameter gone, and says what brings it back.
	conn, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `revoke set on parameter backtrace_functions from redoubt_keys`); err != nil {
		t.Fatal(err)
	}
	if out, code, said := db(t, "context", "--database-url", admin); code != exitError || !strings.Contains(said, "redoubt db context --keep parameter") {
		t.Errorf("restored: code %d: %s%s", code, out, said)
	}
	if _, code, said := db(t, "context", "--keep", "parameter", "--database-url", admin); code != exitOK {
		t.Errorf("mended: code %d: %s", code, said)
	}
}
