-- bad: countries that a tenant may add
create table app.country (code text primary key, name text);
grant select, insert, update (name) on app.country to {app};

-- good: countries to be read
create table app.country (code text primary key);
grant select on app.country to {app};
