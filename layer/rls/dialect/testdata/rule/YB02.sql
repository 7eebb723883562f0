-- bad: a unique one
create table f.x (id int unique deferrable);

-- good: a foreign key
create table f.x (id int primary key, up int references f.x deferrable initially deferred);
