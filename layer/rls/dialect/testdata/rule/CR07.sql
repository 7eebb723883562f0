-- bad: a record
create function f.f() returns void language plpgsql as $$ declare r record; begin null; end $$;

-- bad: a column's type
create function f.f() returns void language plpgsql as $$ declare r pg_class.relname%type; begin null; end $$;

-- good: a text
create function f.f() returns void language plpgsql as $$ declare record_name text; begin null; end $$;
