-- bad: a table that the application writes
create table f.x (id int);
grant insert on f.x to redoubt_app;

-- bad: a column that it writes
create table f.x (id int);
grant update (id) on f.x to redoubt_identity;

-- good: a table that it reads
create table f.x (id int);
grant select on f.x to redoubt_app;
