-- bad: the process
create function redoubt.f() returns int language plpgsql as $$ begin return pg_backend_pid(); end $$;

-- bad: a setting
create function redoubt.f() returns text language plpgsql as $$ begin return current_setting('app.who'); end $$;

-- good: the statement's time, and a role
create function redoubt.f() returns text language plpgsql as $$ begin return current_setting('role') || statement_timestamp(); end $$;
