-- bad: the column cast to text
create table app.note (org_id uuid not null, id uuid not null, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id::text = (select current_setting('app.org_id', true)));

-- bad: the column in COALESCE
create table app.note (org_id uuid not null, id uuid not null, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (coalesce(org_id, id) = (select app.org()));

-- good: the other side cast
create table app.note (org_id uuid not null, id uuid not null, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select current_setting('app.org_id', true))::uuid);
