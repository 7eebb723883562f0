package drill_test

import (
	"strings"

	"github.com/redoubt-dev/redoubt/drill/knockout"
)

// holes are mistakes as people make them: each leaves its mechanism standing, and open at one place.
func holes() []hole {
	return []hole{
		said("rls/floor", "a table without its floor", "orders are shown to every organization", `alter policy redoubt_floor on commons.order_ using (true)`),
		said("rls/floor", "a floor that only reads", "products can be put into another organization", `alter policy redoubt_floor on commons.product with check (true)`),
		said("rls/own", "a policy that was dropped", "everybody in an organization sees its orders", `drop policy own_read on commons.order_`),
		said("rls/grants", "a column too many", "a statement may say what an order costs", `grant insert (product_name, unit_cents, total_cents) on commons.order_ to redoubt_app`),
		said("rls/constraints", "a reference by id alone", "a comment may be on another organization's post", `alter table commons.comment drop constraint comment_organization_id_post_id_fkey`),
		said("rls/constraints", "checks that a migration lost", "an order may have any quantity and total", `do $$ declare k name; begin
  for k in select conname from pg_constraint where conrelid = 'commons.order_'::regclass and contype = 'c' and pg_get_constraintdef(oid) like '%quantity%' loop
    execute format('alter table commons.order_ drop constraint %I', k);
  end loop; end $$`),
		said("rls/require", "a scope that everybody has", "the database lets every member manage orders", `create or replace function redoubt.require(scope text) returns uuid stable language sql as
  $$ select case when redoubt.has(scope) or scope = 'orders:manage' then redoubt.profile() else redoubt.lacking() end $$`),
		said("rls/credential", "a condition that was forgotten", "a revoked key is taken", inFunction("redoubt.enter(text,text,boolean)", "a.revoked_at is null and ", "")),
		said("rls/functions", "an owner that is not asked for", "anybody's session is ended by its id", inFunction("redoubt.revoke_session(uuid)", "s.person_id = redoubt.person()", "true")),
		said("identity/session", "a session that outlives signing out", "the cookie goes, and the session stays", `create function identity.unended() returns trigger language plpgsql as $$ begin new.revoked_at := old.revoked_at; return new; end $$;
create trigger unended before update on identity.session for each row execute function identity.unended()`),
		said("audit/record", "a table that nobody records", "changes of posts leave no trace", `alter table commons.post disable trigger audit_row`),

		cut("gate/route", "a route declared too widely", "every key may record payments", "layer/gate/route", "Gate.Check", `if pattern == "POST /api/v1/orders/{id}/pay" { return nil }`),
		cut("gate/action", "a scope taken for another", "whoever may place orders may manage them", "layer/gate/action", "claimed", `if scope == "orders:manage" { scope = "orders:write" }`),
		cut("gate/own", "a handler that forgot to ask", "anybody cancels an order", "commons/shop", "Shop.Cancel", `
	return action.Do(ctx, s.db, who, "orders:write", func(tx *action.Tx) (Nothing, error) { return move(tx, in.ID, Cancelled, audit.State) })`),
		cut("rls/tags", "arguments that nobody looks at", "a change of another's row names its id and answers nothing", "layer/rls", "tag.judge", `return nil`),
		cut("identity/claims", "a code that is not compared", "whoever writes the row writes the claims", "layer/identity", "Service.openClaims", `
	var c claims
	if json.Unmarshal(row.Claims, &c) == nil && c.Organization == row.OrganizationID && c.Profile == row.ProfileID && c.Person == row.PersonID {
		return c, nil
	}`),
		cut("transport/csp", "a policy that was in the way", "inline scripts run", "layer/transport", "policy.String", `
	for i := range p {
		if p[i].name == "script-src" {
			p[i].sources = []source{"'unsafe-inline'"}
		}
	}`),
		cut("transport/headers", "a header that got lost", "pages can be framed", "layer/transport", "guard.seal", `defer delete(h, "X-Frame-Options")`),
		cut("transport/token", "a token that may be missing", "a form without a token is taken", "layer/transport", "Transport.CheckToken", `if presented == "" { return nil }`),
		cut("transport/origin", "an origin that is not compared", "whatever page the browser names will do", "layer/transport", "Transport.ours", `if has(r, "Origin") { return true }`),
		cut("perimeter/headers", "a header that passes", "a client says where it comes from", "layer/perimeter/edge", "isClaim", `if strings.EqualFold(name, "X-Forwarded-For") { return false }`, "strings"),
		cut("input/clean", "a way around the sanitiser", "HTML that was pasted is kept as it is", "layer/input/richtext", "FromMarkdown", `
	if strings.Contains(source, "</") {
		return Document{Source: source, HTML: source}, nil
	}`),
		cut("input/render", "a short cut for short texts", "they are shown as they are stored", "layer/input/richtext/render", "HTML", `if len(stored) < 2000 { return Markup{template.HTML(stored)}, nil }`),
		cut("input/file", "a photograph kept as it came", "what the camera wrote down stays in it", "layer/input/file/examine", "Examiner.Examine", `
	if ending(job.Name) == "jpg" {
		data := make([]byte, size)
		if _, err := f.ReadAt(data, 0); err != nil {
			return Report{}, err
		}
		report := Report{Kind: "jpeg", MediaType: "image/jpeg", Extension: ".jpg", Width: 1, Height: 1}
		for _, v := range job.Variants {
			report.Renditions = append(report.Renditions, Rendition{Variant: v.Name, MediaType: "image/jpeg", Extension: ".jpg", Width: 1, Height: 1, Frames: 1, Data: data})
		}
		return report, nil
	}`),
		cut("input/serve", "a file that is shown", "documents are sent to be opened", ".", "call.download", `out.Inline = true`),
		cut("input/egress", "an address without a name", "what no name service is asked about is not judged", "layer/input/egress", "Client.resolve", `
	if literal, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{literal}, nil
	}`),
		cut("input/schema", "a bound that was forgotten", "numbers may be as small as they like", "layer/input", "shape.integer", `s.least = math.MinInt64`),
	}
}

// said is a hole in the copy's database. The guard would refuse some of them, so it does not look.
func said(of, name, what, sql string) hole {
	return hole{knockout.Unit{Name: named(name), What: what, SQL: []string{"set local session_replication_role = replica;\n" + sql}}, of}
}

// inFunction takes a text out of the body of a function, and fails if it is not there.
func inFunction(function, was, becomes string) string {
	return `do $hole$
declare d text := pg_get_functiondef('` + function + `'::regprocedure);
begin
  if position($s$` + was + `$s$ in d) = 0 then
    raise exception 'there is no such place in the function';
  end if;
  execute replace(d, $s$` + was + `$s$, $s$` + becomes + `$s$);
end $hole$`
}

// named makes one word of a name: a copy is told what is out of it word by word.
func named(name string) string { return "hole/" + strings.ReplaceAll(name, " ", "-") }

// cut is a hole in the copy's source.
func cut(of, name, what, pkg, function, body string, imports ...string) hole {
	return hole{knockout.Unit{Name: named(name), What: what, Cuts: []knockout.Cut{{Package: pkg, Func: function, Body: body, Imports: imports}}}, of}
}
