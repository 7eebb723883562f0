-- bad: GiST
create table f.x (a point);
create index on f.x using gist (a);

-- bad: BRIN
create table f.x (a int);
create index on f.x using brin (a);

-- good: B-tree and GIN
create table f.x (a int, b jsonb);
create index on f.x (a);
create index on f.x using gin (b);
