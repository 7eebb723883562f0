-- bad: a role that was
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (current_user = 'nobody_of_this_name' or org_id = (select app.org()));

-- good: a role that is
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (current_user = '{app}' or org_id = (select app.org()));
