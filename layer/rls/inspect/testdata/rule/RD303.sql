-- bad: a slug for all
create table app.note (org_id uuid not null, slug text unique);
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- bad: an index on lower()
create table app.note (org_id uuid not null, slug text, gone boolean);
create unique index note_slug on app.note (lower(slug)) where not gone;
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- bad: a number as primary key
create table app.note (org_id uuid not null, number int primary key);
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- bad: an exclusion
create table app.note (org_id uuid not null, during tsrange, exclude using gist (during with &&));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- good: a slug of the tenant's
create table app.note (org_id uuid not null, slug text, unique (slug, org_id));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- good: a generated key
create table app.note (org_id uuid not null, id bigint generated always as identity primary key);
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- bad: a key in time
-- needs 18
create extension btree_gist;
create table app.note (org_id uuid not null, slug text, during tsrange, primary key (slug, during without overlaps));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- good: a key in time of the tenant's
-- needs 18
create extension btree_gist;
create table app.note (org_id uuid not null, slug text, during tsrange, primary key (org_id, slug, during without overlaps));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);
