-- bad: open beside a tenant's own
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select app.org()));
create policy all_read on app.note for select using (true);
grant select on app.note to {app};

-- bad: open for inserts
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note for select using (org_id = (select app.org()));
create policy adding on app.note for insert with check (true);

-- bad: OR true
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select app.org()) or true);

-- bad: for a role that SET ROLE reaches
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
grant {other} to {app};
grant select on app.note to {other};
create policy api on app.note for select to {other} using (true);

-- good: open above a floor
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- good: open for a role of its own
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create role {extra} login;
grant select on app.note to {extra};
create policy janitor on app.note for select to {extra} using (true);
