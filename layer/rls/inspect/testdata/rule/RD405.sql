-- bad: the superuser's, for everybody
create function app.f() returns bigint language sql security definer set search_path = app, pg_temp as $$ select count(*) from app.item $$;

-- bad: the superuser's procedure
create procedure app.p() language sql security definer set search_path = app, pg_temp as $$ delete from app.item $$;

-- bad: the superuser's, for the application
create function app.f() returns bigint language sql security definer set search_path = app, pg_temp as $$ select count(*) from app.item $$;
revoke execute on function app.f() from public;
grant execute on function app.f() to {app};

-- good: the superuser's, closed
create function app.f() returns bigint language sql security definer set search_path = app, pg_temp as $$ select count(*) from app.item $$;
revoke execute on function app.f() from public;

-- good: for a trigger alone
create function app.t() returns trigger language plpgsql security definer set search_path = app, pg_temp as $$ begin return null; end $$;
