-- bad: an extension
create extension if not exists pg_trgm schema extension;

-- good: a function of the schema
create function f.f() returns void language plpgsql as $$  begin null; end $$;
