-- bad: the function's name before a parameter
create table f.x (id int);
create function f.put(id int) returns void language plpgsql as $$ begin insert into f.x values (put.id); end $$;

-- good: a parameter of another name
create table f.x (id int);
create function f.put(new_id int) returns void language plpgsql as $$ begin insert into f.x (id) select new_id from f.x; end $$;
