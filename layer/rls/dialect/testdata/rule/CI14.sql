-- bad: a tenant table
select pg_temp.tenant('note');

-- good: a constant
create table f.x (organization_id uuid not null);
alter table f.x enable row level security;
create policy p on f.x using (organization_id = '00000000-0000-0000-0000-000000000001');
