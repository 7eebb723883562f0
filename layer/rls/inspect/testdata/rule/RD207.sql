-- bad: the author's own
alter table app.item add author_id uuid;
drop policy floor on app.item;
drop policy open on app.item;
create policy author on app.item using (author_id = (select app.org()));
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);

-- good: the author's own, of the tenant
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy author on app.note using (org_id = (select app.org()) and body <> '');
