-- bad: INSERT
create table app.audit_log (org_id uuid not null, id bigint generated always as identity primary key, what text);
alter table app.audit_log enable row level security, force row level security;
create policy floor on app.audit_log as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.audit_log for all to public using (true) with check (true);
grant insert on app.audit_log to {app};

-- good: to be read
create table app.audit_log (org_id uuid not null, id bigint generated always as identity primary key, what text);
alter table app.audit_log enable row level security, force row level security;
create policy floor on app.audit_log as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.audit_log for all to public using (true) with check (true);
grant select on app.audit_log to {app};
