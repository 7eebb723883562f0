-- bad: pg_temp is not named
create function app.f() returns bigint language sql security definer set search_path = app as $$ select count(*) from app.item $$;

-- good: pg_temp at the end, or only the system's
create function app.f() returns bigint language sql security definer set search_path = app, pg_temp as $$ select count(*) from app.item $$;
create function app.g() returns bigint language sql security definer set search_path = pg_catalog as $$ select count(*) from app.item $$;
