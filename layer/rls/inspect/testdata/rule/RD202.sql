-- bad: a janitor sees all
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create role {extra} login;
grant select on app.note to {extra};
create policy janitor on app.note for select to {extra} using (true);

-- good: a janitor above a floor
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);
create policy janitor on app.note for select to {other} using (true);

-- good: the owner, who cannot log in
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
alter table app.note owner to {owner};
create policy own on app.note to {owner} using (true);
