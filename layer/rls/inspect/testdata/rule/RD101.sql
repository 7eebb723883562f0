-- bad: a table of tenants without anything
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
grant select on app.note to {app};

-- bad: a partitioned table
create table app.note (org_id uuid not null, id uuid not null, primary key (org_id, id)) partition by hash (org_id);
create table app.note_0 partition of app.note for values with (modulus 1, remainder 0);

-- good: a protected table, and one for everybody
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);
create table app.country (code text primary key);
