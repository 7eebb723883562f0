-- bad: an identity column
select pg_temp.tenant('note');
alter table f.note add n int generated always as identity;

-- bad: a serial column
create table f.x (n serial);

-- good: a large one
select pg_temp.tenant('note');
alter table f.note add n bigint generated always as identity;
