-- bad: a restrictive policy
select pg_temp.tenant('note');
create policy p on f.note as restrictive for select using (id is not null);

-- good: permissive ones
select pg_temp.tenant('note');
create policy p on f.note for select using (organization_id = redoubt.org());
