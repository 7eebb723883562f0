-- How a caller's context (0003_context.sql) is kept between redoubt.enter and the policies, in one of two ways; both are written by
-- redoubt_keys alone, and end with the transaction. docs/decisions/0022-kept-in-a-parameter.md has the reasons and what each costs.
--
-- parameter: in a parameter of the server that takes a right to set (PostgreSQL 15 and later), and redoubt_keys alone has it. The
--   parameter is backtrace_functions, the names of C functions whose errors the server's log traces: no function is named like a
--   context. Reading it back costs nothing that could be measured.
-- seal: in a setting that everybody may overwrite, under an HMAC over it, the backend and the transaction, verified at each use. It costs
--   fifteen, and needs nobody to give a right.
--
-- verified gives the context to whoever may rely on it, and refuses if there is none. entered says only whether something is kept
-- where one would be: nothing that protects anybody asks it.

set role redoubt_keys;
-- What seals. Readable by nobody but the two functions below; the newest seals, the one before it still verifies.
create table redoubt.seal_key (
  kid        text        primary key check (kid ~ '^[0-9]{2}$'),
  key        bytea       not null check (length(key) = 32),
  created_at timestamptz not null default clock_timestamp()
);
revoke all on redoubt.seal_key from redoubt_backup;
insert into redoubt.seal_key (kid, key) values ('01', extension.gen_random_bytes(32));

-- rotate_seal_key lets a new key seal, while the server is in use. Transactions under the key before it go on; one that is older
-- than two rotations is refused. It answers with the new key's number.
create function redoubt.rotate_seal_key() returns text
  volatile security definer set search_path = pg_catalog, pg_temp language plpgsql as $$
declare
  newest redoubt.seal_key;
  number text;
begin
  lock table redoubt.seal_key in share row exclusive mode; -- one rotation at a time
  select * into newest from redoubt.seal_key order by created_at desc limit 1;
  number := lpad(((newest.kid::integer + 1) % 100)::text, 2, '0');
  delete from redoubt.seal_key where kid <> newest.kid;
  insert into redoubt.seal_key (kid, key) values (number, extension.gen_random_bytes(32));
  return number;
end $$;

create function redoubt.refused() returns text stable parallel restricted language plpgsql as $$
begin
  raise exception 'redoubt: no credential was presented in this transaction' using errcode = '28000';
end $$;
grant execute on function redoubt.refused() to public;
grant execute on function redoubt.rotate_seal_key() to redoubt_migrator;
grant usage on schema redoubt to redoubt_migrator;
reset role;

-- keep_context chooses, for every transaction that enters from now on; those under way are refused. Only the superuser may.
create function guard.keep_context(way text) returns void language plpgsql set search_path = pg_catalog, pg_temp as $keep$
begin
  if way = 'parameter' then
    -- Rights on parameters belong to the whole server, like roles: no part of a database's dump, so a restored one calls this again.
    lock table pg_catalog.pg_parameter_acl in share row exclusive mode;
    grant set on parameter backtrace_functions to redoubt_keys;

    create or replace function redoubt.keep(context text, read_only boolean) returns text
      volatile language sql as $$
      select pg_catalog.concat(pg_catalog.set_config('backtrace_functions', context, true),
        case when read_only then pg_catalog.set_config('transaction_read_only', 'on', true) end)
    $$;

    -- Shorter than any context is what the server's configuration may have in the parameter: no context.
    create or replace function redoubt.verified() returns text
      stable parallel restricted security invoker language sql as $$
      select case when pg_catalog.length(pg_catalog.current_setting('backtrace_functions')) operator(pg_catalog.>=) 130
        then pg_catalog.current_setting('backtrace_functions') else redoubt.refused() end
    $$;
    create or replace function redoubt.entered() returns boolean
      stable parallel restricted security invoker language sql as $$
      select pg_catalog.length(pg_catalog.current_setting('backtrace_functions')) operator(pg_catalog.>=) 130
    $$;

  elsif way = 'seal' then
    -- seal (64 hex), kid (2), context. Backend and transaction are not written down but put in again by whoever verifies, so that
    -- there is nothing to compare but the seal.
    create or replace function redoubt.keep(context text, read_only boolean) returns text
      volatile set search_path = pg_catalog, pg_temp language plpgsql as $$ -- enter_session has no path of its own
    declare k redoubt.seal_key;
    begin
      select * into k from redoubt.seal_key order by created_at desc limit 1;
      if read_only then
        perform pg_catalog.set_config('transaction_read_only', 'on', true);
      end if;
      return pg_catalog.set_config('redoubt.context', pg_catalog.encode(extension.hmac(pg_catalog.convert_to(k.kid || context || pg_catalog.pg_backend_pid()::text, 'UTF8')
        || pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp()), k.key, 'sha256'), 'hex') || k.kid || context, true);
    end $$;

    -- It is on the path of every row, so it is short: one key read, one HMAC, one comparison. It has no SET clause, which would cost
    -- a settings frame on every call; every name and operator is qualified instead, so search_path cannot matter. The comparison
    -- may end early: a seal that is right in its beginning tells so to nobody who has fewer than 2^64 tries in one transaction.
    create or replace function redoubt.verified() returns text
      stable parallel restricted security definer language plpgsql as $$
    declare
      c pg_catalog.text := pg_catalog.current_setting('redoubt.context', true);
      p pg_catalog.text := pg_catalog.substr(c, 65);
      k pg_catalog.bytea;
    begin
      select s.key into k from redoubt.seal_key s where s.kid operator(pg_catalog.=) pg_catalog.substr(p, 1, 2);
      if pg_catalog.left(c, 64) operator(pg_catalog.=) pg_catalog.encode(extension.hmac(
           pg_catalog.convert_to(p operator(pg_catalog.||) pg_catalog.pg_backend_pid()::pg_catalog.text, 'UTF8')
             operator(pg_catalog.||) pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp()), k, 'sha256'), 'hex')
      then
        return pg_catalog.substr(p, 3);
      elsif c is null or c operator(pg_catalog.=) '' then
        return redoubt.refused();
      end if;
      raise exception 'redoubt: the context was not sealed for this transaction' using errcode = '28000';
    end $$;
    create or replace function redoubt.entered() returns boolean
      stable parallel restricted security invoker language sql as $$
      select pg_catalog.length(pg_catalog.current_setting('redoubt.context', true)) operator(pg_catalog.>) 0
    $$;

  else
    raise exception 'redoubt: a context is kept by parameter or by seal';
  end if;
  alter function redoubt.keep(text, boolean) owner to redoubt_keys;
  alter function redoubt.verified() owner to redoubt_keys;
  alter function redoubt.entered() owner to redoubt_keys;
  revoke all on function redoubt.keep(text, boolean) from public;
  grant execute on function redoubt.verified(), redoubt.entered() to public;
end $keep$;
revoke all on function guard.keep_context(text) from public;

select guard.keep_context(case when current_setting('is_superuser') = 'on' and current_setting('server_version_num')::int >= 150000 then 'parameter' else 'seal' end);
