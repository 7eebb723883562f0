-- bad: a table's lock
create table f.x (id int);
create function f.f() returns void language plpgsql as $$  begin lock table f.x in exclusive mode; end $$;

-- good: a row's lock
create table f.x (id int);
create function f.f() returns void language plpgsql as $$ declare r int; begin select id into r from f.x for update; end $$;
