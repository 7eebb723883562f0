-- bad: in a view
create function app.f() returns bigint language sql security definer set search_path = app, pg_temp as $$ select count(*) from app.item $$;
create view app.v with (security_invoker = true) as select app.f();

-- good: not in a view
create function app.f() returns bigint language sql security definer set search_path = app, pg_temp as $$ select count(*) from app.item $$;
create view app.v with (security_invoker = true) as select * from app.item;
