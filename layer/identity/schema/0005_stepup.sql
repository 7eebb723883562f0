-- Proving again who one is, before what cannot be undone (SYSTEM I6).
set role redoubt_keys;

-- The database's own note of when and how the person proved it to the provider. The claims beside it say so too, under a key that the
-- database does not hold: the route gate believes those, the action gate this. Unknown is null, and never recent enough.
alter table identity.session
  add column auth_time timestamptz,
  add column assurance text[] not null default '{}' check (cardinality(assurance) <= 100);

-- require_proof is the third gate's question for a dangerous action. Seconds 0 is any time, level '' any level. Who is nobody at a
-- browser cannot prove anything again, and passes only where programs are meant to.
create function redoubt.require_proof(scope text, seconds integer, level text, programs boolean) returns uuid
  stable security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
begin
  perform redoubt.require(scope);
  if not redoubt.interactive() then
    if programs is not true then
      raise exception 'redoubt: this needs a person at a browser' using errcode = 'RD403';
    end if;
  elsif not exists (select from identity.session s where s.id = redoubt.credential_id()
      and (seconds = 0 or s.auth_time between statement_timestamp() - make_interval(secs => seconds) and statement_timestamp() + interval '1 minute')
      and (level = '' or level = any (s.assurance))) then
    raise exception 'redoubt: the proof of who the caller is does not suffice' using errcode = 'RD401';
  end if;
  return redoubt.profile();
end $$;
grant execute on function redoubt.require_proof(text, integer, text, boolean) to redoubt_app, redoubt_worker, redoubt_webhook;

-- What somebody had typed when they were sent to prove who they are. One for each session; the application's role does not reach it,
-- and what it says is sealed under a key that is not here, bound to the session and the person.
create table identity.pending_form (
  session_id uuid        primary key references identity.session on delete cascade,
  sealed     bytea       not null check (length(sealed) <= 66560), -- 64 KiB, and the names of what it was typed into
  expires_at timestamptz not null
);
create index on identity.pending_form (expires_at);
alter table identity.pending_form enable row level security, force row level security;
create policy identity_only on identity.pending_form for all to redoubt_keys, redoubt_identity using (true) with check (true);
grant select, insert, update, delete on identity.pending_form to redoubt_identity;

-- Nobody is shown a form that is too old, and none outlives the next sign-in, whoever's it is.
create function identity.forget_forms() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  delete from identity.pending_form f where f.expires_at < now();
  return null;
end $$;
create trigger forget_forms after insert on identity.session for each statement execute function identity.forget_forms();
reset role;
