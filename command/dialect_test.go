package command

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/commons"
	"github.com/redoubt-dev/redoubt/layer/rls/dialect"
)

func TestDBDialect(t *testing.T) { // SYSTEM D8
	c := server(t)
	admin := c.ConnString("postgres", "hunter2", "postgres")
	_, err := migrate.Run(t.Context(), migrate.Config{
		Admin: admin, Migrator: func() string { return c.ConnString("redoubt_migrator", "hunter2", "postgres") }, Lines: append(redoubt.LayerSchema(), commons.App.Schema...),
		Roles: map[string]string{"redoubt_migrator": "hunter2", "redoubt_app": "hunter2", "redoubt_identity": "hunter2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		engine string
		code   int
		has    []string
	}{
		{"postgresql", exitOK, []string{"create policy redoubt_floor on commons.post as restrictive", "0 silent, 0 refused, 0 different"}},
		{"yugabytedb", exitOK, []string{"create policy redoubt_floor on commons.post as restrictive", "-- YB04 differs"}},
		{"citus", exitError, []string{"select create_distributed_table('commons.post', 'organization_id'", "-- CI01 silent", "https://github.com/citusdata/citus/"}},
		{"cockroachdb", exitError, []string{"create trigger redoubt_org before insert on commons.post", "-- CR01 refused"}},
	} {
		out, code, said := db(t, "dialect", "--engine", tt.engine, "--database-url", admin)
		if code != tt.code {
			t.Errorf("%s: code %d, want %d: %s", tt.engine, code, tt.code, said)
		}
		for _, want := range tt.has {
			if !strings.Contains(out, want) {
				t.Errorf("%s: does not say %q:\n%.2000s", tt.engine, want, out)
			}
		}
	}
	var r dialect.Report
	out, _, _ := db(t, "dialect", "--engine", "citus", "--json", "--database-url", admin)
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Engine != dialect.Citus || r.Tables == 0 || r.Count(dialect.Silent) == 0 || r.Findings[0].Source.URL == "" {
		t.Errorf("as JSON: %v, %+v", err, r)
	}
}

func TestDBDialectRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no engine", nil, exitUsage, "no dialect for this engine"},
		{"an engine that nobody knows", []string{"--engine", "hunter2"}, exitUsage, "no dialect for this engine"},
		{"an address that is none", []string{"--engine", "citus", "--database-url", "postgres://a:hunter2@[bad"}, exitUsage, "cannot be read"},
		{"two things at once", []string{"--engine", "x", "--database-url", "postgres://a:hunter2@[bad"}, exitUsage, "no dialect for this engine; there are postgresql, citus, cockroachdb and yugabytedb; the address"},
		{"an address as an argument", []string{"postgres://a:hunter2@h/d"}, exitUsage, "flags alone"},
		{"a server that is not there", []string{"--engine", "citus", "--database-url", "host=/nonexistent user=hunter2 dbname=hunter2"}, exitError, "cannot be reached"},
	} {
		out, code, said := db(t, append([]string{"dialect"}, tt.args...)...)
		if code != tt.code || !strings.Contains(said, tt.says) || strings.Contains(said+out, "hunter2") {
			t.Errorf("%s: code %d, %q, %q", tt.name, code, said, out)
		}
	}
}
