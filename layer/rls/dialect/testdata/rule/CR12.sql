-- bad: a unique one
create table f.x (id int unique deferrable);

-- bad: a foreign key
create table f.x (id int primary key, up int references f.x deferrable initially deferred);

-- good: neither
create table f.x (id int primary key, up int references f.x);
