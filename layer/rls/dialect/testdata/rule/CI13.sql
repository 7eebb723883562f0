-- bad: two levels
create table f.p (organization_id uuid not null, id int) partition by hash (organization_id);
create table f.p0 partition of f.p for values with (modulus 1, remainder 0) partition by hash (id);

-- good: one level
create table f.p (organization_id uuid not null, id int) partition by hash (organization_id);
create table f.p0 partition of f.p for values with (modulus 1, remainder 0);
