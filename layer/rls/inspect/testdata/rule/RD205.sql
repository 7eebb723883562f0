-- bad: a bare function
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = app.org()) with check (org_id = app.org());

-- bad: a bare current_setting
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = current_setting('app.org_id')::uuid);

-- bad: bare in WITH CHECK alone
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select app.org())) with check (org_id = app.org());

-- good: wrapped, nested and cast
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select nullif(coalesce(current_setting('app.org_id', true), lower('')), '')::uuid)) with check (org_id = (select app.org()));

-- good: a function of the row cannot be wrapped
create function app.mine(o uuid) returns boolean stable language sql as $$ select o = app.org() $$;
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (app.mine(org_id));
