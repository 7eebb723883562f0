-- bad: DELETE
create table app.audit_log (org_id uuid not null, id bigint generated always as identity primary key, what text);
alter table app.audit_log enable row level security, force row level security;
create policy floor on app.audit_log as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.audit_log for all to public using (true) with check (true);
grant select, delete on app.audit_log to {app};

-- bad: UPDATE on a column of a schema's own
create schema audit;
create table audit.event (org_id uuid not null, what text);
grant update (what) on audit.event to {app};

-- good: to be read
create table app.audit_log (org_id uuid not null, id bigint generated always as identity primary key, what text);
alter table app.audit_log enable row level security, force row level security;
create policy floor on app.audit_log as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.audit_log for all to public using (true) with check (true);
grant select on app.audit_log to {app};
