-- bad: IF NOT FOUND
create table f.x (id int);
create function f.f() returns void language plpgsql as $$  begin update f.x set id = 1; if not found then raise 'no'; end if; end $$;

-- good: the word in a string
create function f.f() returns void language plpgsql as $$  begin raise 'not found'; end $$;
