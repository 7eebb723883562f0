-- bad: a lock
create function f.f() returns void language plpgsql as $$ declare r text; begin select pg_advisory_xact_lock(1) into r; end $$;

-- bad: an attempt
create function f.f() returns void language plpgsql as $$ declare r text; begin select pg_try_advisory_lock(1) into r; end $$;

-- good: a row's lock
create table f.x (id int);
create function f.f() returns void language plpgsql as $$ declare r int; begin select id into r from f.x for update; end $$;
