-- What every fixture starts from: one tenant table, kept by a variable of the session, as most applications do it.
create schema app authorization {owner};
grant usage on schema app to {app};
set role {owner};
create function app.org() returns uuid stable language sql as $$ select nullif(current_setting('app.org_id', true), '')::uuid $$;
create table app.item (org_id uuid not null, id uuid not null default gen_random_uuid(), name text, primary key (org_id, id));
alter table app.item enable row level security, force row level security;
create policy floor on app.item as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.item for all to public using (true) with check (true);
grant select, insert, delete, update (name) on app.item to {app};
reset role;
