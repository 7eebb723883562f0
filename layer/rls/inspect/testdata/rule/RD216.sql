-- bad: an immutable tenant
alter function app.org() immutable;

-- good: an immutable function of its argument
create function app.same(o uuid) returns uuid immutable language sql as $$ select o $$;
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (app.same(org_id) = (select app.org()));
