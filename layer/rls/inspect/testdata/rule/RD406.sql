-- bad: no search_path
create function app.f() returns bigint language sql security definer as $$ select count(*) from app.item $$;

-- good: a search_path, or the caller's rights
create function app.f() returns bigint language sql security definer set search_path = app, pg_temp as $$ select count(*) from app.item $$;
create function app.g() returns bigint language sql as $$ select count(*) from app.item $$;
