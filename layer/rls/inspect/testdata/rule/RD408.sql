-- bad: for everybody
set role {owner};
create function app.f() returns bigint language sql security definer set search_path = app, pg_temp as $$ select count(*) from app.item $$;

-- good: for the application
set role {owner};
create function app.f() returns bigint language sql security definer set search_path = app, pg_temp as $$ select count(*) from app.item $$;
revoke execute on function app.f() from public;
grant execute on function app.f() to {app};
