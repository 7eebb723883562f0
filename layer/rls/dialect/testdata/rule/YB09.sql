-- bad: ctid
create table f.x (id int);
create function f.f() returns void language plpgsql as $$  begin delete from f.x where ctid is null; end $$;

-- good: a column of another name
create table f.x (xminimum int);
create function f.f() returns void language plpgsql as $$  begin delete from f.x where xminimum = 1; end $$;
