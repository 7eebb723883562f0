-- bad: user_metadata
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select (current_setting('request.jwt.claims')::json -> 'user_metadata' ->> 'org_id')::uuid));

-- bad: user_metadata in a function
create function app.claimed() returns uuid stable language sql as $$ select (current_setting('request.jwt.claims')::json -> 'user_metadata' ->> 'org_id')::uuid $$;
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select app.claimed()));

-- good: app_metadata
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select (current_setting('request.jwt.claims')::json -> 'app_metadata' ->> 'org_id')::uuid));
