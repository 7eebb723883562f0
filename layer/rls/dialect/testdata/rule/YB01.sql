-- bad: an exclusion
select pg_temp.tenant('note');
alter table f.note add exclude using btree (organization_id with =, body with =);

-- good: a unique index
select pg_temp.tenant('note');
create unique index on f.note (organization_id, body);
