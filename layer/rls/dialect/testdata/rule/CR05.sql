-- bad: PERFORM
create function f.f() returns void language plpgsql as $$  begin perform 1; end $$;

-- bad: a loop over a query
create function f.f() returns void language plpgsql as $$ declare r int; begin for r in select 1 loop null; end loop; end $$;

-- bad: EXECUTE
create function f.f() returns void language plpgsql as $$  begin execute 'select 1'; end $$;

-- bad: CASE as a statement
create function f.f() returns void language plpgsql as $$  begin case when true then null; end case; end $$;

-- bad: FOREACH
create function f.f() returns void language plpgsql as $$ declare r int; begin foreach r in array array[1] loop null; end loop; end $$;

-- good: SELECT INTO, and the words in strings and comments
create function f.f() returns void language plpgsql as $$ declare r int; begin select case when true then 1 end into r; raise exception 'perform, execute'; -- get diagnostics
 end $$;
