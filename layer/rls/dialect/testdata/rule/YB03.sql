-- bad: a child
create table f.a (id int);
create table f.b () inherits (f.a);

-- good: a partition
create table f.p (organization_id uuid not null, id int) partition by hash (organization_id);
create table f.p0 partition of f.p for values with (modulus 1, remainder 0);
