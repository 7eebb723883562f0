-- bad: a fill factor
create table f.x (id int);
create index on f.x (id) with (fillfactor = 70);

-- good: none
create table f.x (id int) with (fillfactor = 70);
create index on f.x (id);
