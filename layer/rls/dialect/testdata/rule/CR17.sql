-- bad: a tenant table
select pg_temp.tenant('note');

-- good: a table for everybody
create table f.country (code text primary key);
