-- bad: IS NULL OR
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (current_setting('app.org_id', true) is null or org_id = (select app.org()));

-- bad: a function IS NULL, OR
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select app.org()) or app.org() is null);

-- bad: empty, OR
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (current_setting('app.org_id', true) = '' or org_id = (select app.org()));

-- bad: a floor that opens
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive using (app.org() is null or org_id = (select app.org()));
create policy open on app.note using (true);

-- good: a row that is nobody's is not a caller that is nobody
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select nullif(current_setting('app.org_id', true), '')::uuid) and (body is null or body <> ''));

-- bad: NULLIF IS NULL, OR, in a select
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using ((select nullif(current_setting('app.org_id', true), '')) is null or org_id = (select app.org()));

-- good: a column's function may be null
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select app.org()) and (lower(body) is null or body <> ''));
