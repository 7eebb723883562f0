-- bad: a key without the organization
select pg_temp.tenant('note');
select pg_temp.tenant('other');
create unique index on f.note (id);
alter table f.other add note_id uuid references f.note (id);

-- bad: a key to a table that stays behind
select pg_temp.tenant('note');
create table f.log (organization_id uuid, id uuid primary key);
alter table f.note add log_id uuid references f.log;

-- good: a paired key, and one to a table for everybody
select pg_temp.tenant('note');
select pg_temp.tenant('other');
create table f.country (code text primary key);
alter table f.other add note_id uuid, add country text references f.country, add foreign key (organization_id, note_id) references f.note (organization_id, id);
