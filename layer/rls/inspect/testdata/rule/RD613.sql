-- bad: no trigger
create table app.audit_log (org_id uuid not null, id bigint generated always as identity primary key, what text);
alter table app.audit_log enable row level security, force row level security;
create policy floor on app.audit_log as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.audit_log for all to public using (true) with check (true);

-- bad: a trigger that a replica's role passes
create table app.audit_log (org_id uuid not null, id bigint generated always as identity primary key, what text);
alter table app.audit_log enable row level security, force row level security;
create policy floor on app.audit_log as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.audit_log for all to public using (true) with check (true);
create function app.no() returns trigger language plpgsql as $$ begin raise exception 'append-only'; end $$;
create trigger no before update or delete on app.audit_log for each row execute function app.no();

-- good: always
create table app.audit_log (org_id uuid not null, id bigint generated always as identity primary key, what text);
alter table app.audit_log enable row level security, force row level security;
create policy floor on app.audit_log as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.audit_log for all to public using (true) with check (true);
create function app.no() returns trigger language plpgsql as $$ begin raise exception 'append-only'; end $$;
create trigger no before update or delete on app.audit_log for each row execute function app.no();
alter table app.audit_log enable always trigger no;
