-- bad: the variable in the policy
create policy direct on app.item as restrictive using (org_id = (select current_setting('app.org_id')::uuid));

-- bad: the variable two functions away
create function app.tenant() returns uuid stable language plpgsql as $$ begin return app.org(); end $$;
create table app.note (org_id uuid not null, id uuid not null default gen_random_uuid(), body text, primary key (org_id, id));
alter table app.note enable row level security, force row level security;
create policy own on app.note using (org_id = (select app.tenant()));

-- good: a function that verifies
drop policy floor on app.item;
create extension pgcrypto;
create table app.key (k bytea);
create function app.signed() returns uuid stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare c text := current_setting('app.org_id', true);
begin
  if public.hmac(left(c, 36)::bytea, (select k from app.key), 'sha256') <> decode(substr(c, 37), 'hex') then raise exception 'no'; end if;
  return left(c, 36)::uuid;
end $$;
create policy floor on app.item as restrictive using (org_id = (select app.signed()));
