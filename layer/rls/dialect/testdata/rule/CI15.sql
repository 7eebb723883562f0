-- bad: an organization that may be missing
create table f.log (organization_id uuid);

-- good: a tenant table and one for everybody
select pg_temp.tenant('note');
create table f.country (code text primary key);
