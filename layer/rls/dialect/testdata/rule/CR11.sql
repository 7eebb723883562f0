-- bad: NOTIFY
create function f.f() returns void language plpgsql as $$  begin notify x; end $$;

-- bad: the function
create function f.f() returns void language plpgsql as $$ declare r text; begin select pg_notify('x', 'y') into r; end $$;

-- good: the word in a name
create function f.f() returns void language plpgsql as $$ declare notify_at int; begin select 1 into notify_at; end $$;
