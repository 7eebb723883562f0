-- bad: anybody who is somebody
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy known on app.note using ((select app.org()) is not null);

-- good: beneath a floor
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);
create policy known on app.note using ((select app.org()) is not null);

-- good: nobody at all
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy none on app.note using (false);
