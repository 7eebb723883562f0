-- bad: a membership of whomever
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (exists (select from app.item i where i.org_id = note.org_id));

-- good: a membership of the caller
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (exists (select from app.item i where i.org_id = note.org_id and i.id = app.org()));
