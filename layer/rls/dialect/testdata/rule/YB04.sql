-- bad: a generated column
create table f.x (a int, b int generated always as (a + 1) stored);

-- good: a default
create table f.x (a int, b int default 1);
