package dialect

import (
	"fmt"
	"slices"
	"strings"
)

const (
	floor     = "organization_id = (select redoubt.org())" // as the guard writes it
	bareFloor = "organization_id = redoubt.org()"
	nobody    = "'00000000-0000-0000-0000-000000000000'" // an organization that cannot be: what a default may say where it may not ask
)

// Isolate is the text that isolates a bare tenant table on this engine, as the guard does on PostgreSQL: policies, forced row
// level security, the default of organization_id, the audit trigger, and where the rows are to be.
func (e Engine) Isolate(t Table) (string, error) {
	write := map[Engine]func(Table) string{PostgreSQL: guarded, YugabyteDB: guarded, CockroachDB: plain, Citus: distributed}[e]
	switch {
	case write == nil:
		return "", errUnknown
	case t.Place != Spread:
		return "", fmt.Errorf("isolating %s: it is no tenant table", plainText(t.Name))
	case !t.Guarded:
		return "", fmt.Errorf("isolating %s: it lacks the policies that the guard gives, so there is nothing to derive from", plainText(t.Name))
	}
	return write(t), nil
}

const guardedText = `create policy redoubt_floor on %[1]s as restrictive for all to public using (%[2]s) with check (%[2]s);
create policy redoubt_open on %[1]s for all to public using (true) with check (true);
`

const auditText = `create trigger audit_row after insert or update or delete on %s for each row execute function audit.row(%s);
`

const forcedText = `alter table %s alter organization_id set default %s, enable row level security, force row level security;
`

// guarded is the guard's own text, and the table's own policies as PostgreSQL prints them.
func guarded(t Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, guardedText, t.Name, floor)
	for _, p := range t.Policies {
		p.write(&b, t.Name)
	}
	fmt.Fprintf(&b, auditText, t.Name, t.personal)
	fmt.Fprintf(&b, forcedText, t.Name, "redoubt.org()")
	return b.String()
}

// plain is for an engine with restrictive policies but without sub-selects in them, nor functions of one's own in defaults. The
// default is nobody's, a trigger puts the caller's in its place, and the floor refuses the row if the trigger did not.
func plain(t Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, guardedText, t.Name, bareFloor)
	for _, p := range t.Policies {
		p.bare(&b).write(&b, t.Name)
	}
	fmt.Fprintf(&b, "create trigger redoubt_org before insert on %s for each row execute function redoubt.fill_organization();\n", t.Name)
	fmt.Fprintf(&b, auditText, t.Name, t.personal)
	fmt.Fprintf(&b, "alter table %s alter column organization_id set default %s;\n", t.Name, nobody)
	fmt.Fprintf(&b, "alter table %s enable row level security;\nalter table %s force row level security;\n", t.Name, t.Name)
	return b.String()
}

// distributed is for Citus. It writes policies on shards without AS RESTRICTIVE, so that an open one beside them lets everything
// pass: there is one policy for each command, and it says everything. It has no audit trigger, which Citus refuses.
func distributed(t Table) string {
	var b strings.Builder
	for _, name := range append([]string{"redoubt_floor", "redoubt_open"}, names(t.Policies)...) {
		fmt.Fprintf(&b, "drop policy if exists %s on %s;\n", name, t.Name)
	}
	fmt.Fprintf(&b, "drop trigger if exists audit_row on %s;\n", t.Name)
	var plain []Policy
	for _, p := range t.Policies {
		if !p.Permissive { // a permissive one adds nothing to the open policy
			plain = append(plain, p.forAll(&b).bare(&b))
		}
	}
	for _, command := range []string{"select", "insert", "update", "delete"} {
		using, check := merged(plain, command)
		one := Policy{Name: "redoubt_" + command, Command: command, Permissive: true, Roles: []string{"public"}}
		if command != "insert" {
			one.Using = using
		}
		if command == "insert" || command == "update" {
			one.Check = check
		}
		one.write(&b, t.Name)
	}
	fmt.Fprintf(&b, forcedText, t.Name, "redoubt.org()")
	fmt.Fprintf(&b, "select create_distributed_table('%s', 'organization_id', colocate_with => '%s');\n", quoted(t.Name), quoted(t.beside()))
	return b.String()
}

// merged is what all restrictive policies together ask of one command.
func merged(all []Policy, command string) (using, check string) {
	usings, checks := []string{bareFloor}, []string{bareFloor}
	for _, p := range all {
		if p.Command != "all" && p.Command != command {
			continue
		}
		if p.Check == "" { // CREATE POLICY: then USING is what new rows are held to
			p.Check = p.Using
		}
		usings, checks = add(usings, p.Using), add(checks, p.Check)
	}
	return strings.Join(usings, " and "), strings.Join(checks, " and ")
}

// bare is the policy without sub-selects. One that asks another table cannot be said where there are none: nobody passes it, until
// somebody has found other words for it.
func (p Policy) bare(b *strings.Builder) Policy {
	var err, err2 error
	p.Using, err = bare(p.Using)
	p.Check, err2 = bare(p.Check)
	if err == nil && err2 == nil {
		return p
	}
	fmt.Fprintf(b, "-- Policy %s asks another table, which a policy here cannot: nobody passes it until it is put otherwise.\n", plainText(p.Name))
	return p.closed()
}

// forAll is the policy for everybody: one policy for each command cannot say that some roles are asked less.
func (p Policy) forAll(b *strings.Builder) Policy {
	if slices.Equal(p.Roles, []string{"public"}) {
		return p
	}
	fmt.Fprintf(b, "-- Policy %s restricts some roles alone, which one policy for each command cannot say: nobody passes it until it asks for the role itself.\n", plainText(p.Name))
	return p.closed()
}

// closed is the policy with conditions that nothing meets.
func (p Policy) closed() Policy {
	if p.Using != "" || p.Command != "insert" {
		p.Using = "false"
	}
	if p.Check != "" || p.Command == "insert" {
		p.Check = "false"
	}
	return p
}

func add(conditions []string, one string) []string {
	if one == "" {
		return conditions
	}
	return append(conditions, "("+one+")")
}

// beside is the tenant table with which this one shares machines: any will do, since all are spread by the same column.
func (t Table) beside() string {
	if t.first == "" {
		return "none"
	}
	return t.first
}

func (p Policy) write(b *strings.Builder, table string) {
	fmt.Fprintf(b, "create policy %s on %s", p.Name, table)
	if !p.Permissive {
		b.WriteString(" as restrictive")
	}
	fmt.Fprintf(b, " for %s to %s", p.Command, strings.Join(p.Roles, ", "))
	if p.Using != "" {
		fmt.Fprintf(b, " using (%s)", p.Using)
	}
	if p.Check != "" {
		fmt.Fprintf(b, " with check (%s)", p.Check)
	}
	b.WriteString(";\n")
}

func names(all []Policy) (out []string) {
	for _, p := range all {
		out = append(out, p.Name)
	}
	return out
}

// quoted is for the inside of a string literal.
func quoted(name string) string { return strings.ReplaceAll(name, "'", "''") }
