-- bad: a check that is true
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select app.org())) with check (true);

-- bad: a check of something else
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note for update using (org_id = (select app.org())) with check (body <> '');

-- good: no check: USING is asked of the new row
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select app.org()));
create policy changing on app.note for update using (org_id = (select app.org()));

-- good: an open check above a floor
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);
create policy own on app.note for update using (org_id = (select app.org())) with check (true);
