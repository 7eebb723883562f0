-- bad: another table
select pg_temp.tenant('note');
create table f.friend (id uuid);
create policy p on f.note for select using (id in (select friend.id from f.friend));

-- bad: another table, beside the context
select pg_temp.tenant('note');
create table f.friend (id uuid);
create policy p on f.note for select using (id = (select redoubt.profile()) or exists (select from f.friend));

-- good: the context alone
select pg_temp.tenant('note');
create policy p on f.note for select using (organization_id = (select redoubt.org()) or (select redoubt.has('x:select')));
