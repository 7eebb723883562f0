package rls_test

import (
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/layertest"
)

// What redoubt.enter_session reads of a membership is settled when something changes, and nothing slips in between.
func TestWhatAMemberMayIsSettledWhenItChanges(t *testing.T) { // SYSTEM D2, I4, I7
	h := newTheft(t, layertest.Disposable)
	may := func(sql string) (state string) {
		t.Helper()
		begin(t, h.admin)
		if got, state := say(t, h.admin, h.fill.Replace(sql)); state != "" {
			t.Fatalf("%s: %s %s", sql, got, state)
		}
		say(t, h.admin, `set local session authorization redoubt_app`)
		_, err := h.admin.Exec(t.Context(), `select redoubt.enter($1)`, h.dave.Session())
		if state = stateOf(t, err); state == "" {
			_, state = say(t, h.admin, `select redoubt.require('notes:write')`)
		}
		h.admin.Exec(t.Context(), `rollback`)
		return state
	}
	for _, c := range []struct{ name, sql, want string }{
		{"nothing", `select 1`, ""},
		{"the member is stopped", `update identity.membership set active = false where id = '{me}'`, "28000"},
		{"and taken in again", `update identity.membership set active = false where id = '{me}'; update identity.membership set active = true where id = '{me}'`, ""},
		{"the organization is stopped", `update identity.organization set active = false where id = '{my org}'`, "28000"},
		{"and set going again", `update identity.organization set active = false where id = '{my org}'; update identity.organization set active = true where id = '{my org}'`, ""},
		{"another organization is stopped", `update identity.organization set active = false where id = '{their org}'`, ""},
		{"the member becomes a guest", `update identity.membership set role = 'guest' where id = '{me}'`, "RD403"},
		{"a guest is given the scope, by a role of the organization's own", `insert into redoubt.grantable values ('notes:write') on conflict do nothing;
			insert into identity.organization_role (organization_id, id, name, scopes) values ('{my org}', '5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d00aa', 'Writer', '{notes:write}');
			update identity.membership set role = 'guest', custom_role = '5f0c5bba-3c66-4d2b-9c0e-0a1c0f1d00aa' where id = '{me}'`, ""},
		{"somebody writes the scope down by hand", `update identity.membership set role = 'guest', scopes = '{notes:write}' where id = '{me}'`, "RD403"},
		{"the role loses its scopes", `update redoubt.role set scopes = '{}' where name = 'member'`, "RD403"},
		{"another role loses its scopes", `update redoubt.role set scopes = '{}' where name = 'owner'`, ""},
		{"somebody writes it down by hand", `update identity.membership set active = false where id = '{me}'; update identity.membership set live = true, may = 'notes0write,' where id = '{me}'`, "28000"},
	} {
		if got := may(c.sql); got != c.want {
			t.Errorf("%s: SQLSTATE %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNobodyJoinsAnOrganizationPastItsStop(t *testing.T) { // SYSTEM I7
	h := newTheft(t, layertest.Disposable)
	other := h.Admin(t)
	stopping := begin(t, h.admin)
	say(t, h.admin, h.fill.Replace(`update identity.organization set active = false where id = '{my org}'`))
	joined := make(chan string)
	go func() {
		live, _ := say(t, other, h.fill.Replace(`insert into identity.person (issuer, subject) values ('late', 'late');
			insert into identity.membership (organization_id, person_id) select '{my org}', id from identity.person where subject = 'late' returning live`))
		joined <- live
	}()
	select {
	case live := <-joined:
		t.Errorf("it did not wait; live: %s", live)
	case <-time.After(100 * time.Millisecond):
	}
	if err := stopping.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if live := <-joined; live != "f" {
		t.Errorf("a membership of a stopped organization is live: %q", live)
	}
}
