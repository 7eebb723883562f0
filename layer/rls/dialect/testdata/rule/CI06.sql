-- bad: a key of a table for everybody
select pg_temp.tenant('note');
create unique index on f.note (id);
create table f.pin (note_id uuid references f.note (id));

-- good: keys the other way
select pg_temp.tenant('note');
create table f.country (code text primary key);
alter table f.note add country text references f.country;
