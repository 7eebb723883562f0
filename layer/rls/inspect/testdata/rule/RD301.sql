-- bad: nullable
create table app.note (org_id uuid, body text);
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- good: not null
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- bad: not null for new rows alone
-- needs 18
create table app.note (org_id uuid, id uuid not null default gen_random_uuid(), body text);
alter table app.note add constraint there not null org_id not valid;
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- good: not null, by a constraint with a name
-- needs 18
create table app.note (org_id uuid, id uuid not null default gen_random_uuid(), body text);
alter table app.note add constraint there not null org_id;
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);
