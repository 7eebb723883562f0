-- bad: a checked view
create table f.x (id int);
create view f.v as select * from f.x where id > 0 with check option;

-- good: a view
create table f.x (id int);
create view f.v as select * from f.x where id > 0;
