-- bad: a restriction for one role
select pg_temp.tenant('note');
create policy p on f.note as restrictive for select to redoubt_app using (id is not null);

-- good: one for all
select pg_temp.tenant('note');
create policy p on f.note as restrictive for select using (id is not null);
