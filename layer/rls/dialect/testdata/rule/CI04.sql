-- bad: unique without the organization
select pg_temp.tenant('note');
create unique index on f.note (body);

-- bad: the organization is only carried along
select pg_temp.tenant('note');
create unique index on f.note (body) include (organization_id);

-- bad: an exclusion without equality on the organization
select pg_temp.tenant('note');
alter table f.note add exclude using btree (body with =);

-- good: unique within the organization
select pg_temp.tenant('note');
create unique index on f.note (organization_id, body);
alter table f.note add exclude using btree (organization_id with =, body with =);
