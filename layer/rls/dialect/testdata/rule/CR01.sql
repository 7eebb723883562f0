-- bad: a sub-select around the context
select pg_temp.tenant('note');
create policy p on f.note for select using (organization_id = (select redoubt.org()));

-- bad: a sub-select in a check
select pg_temp.tenant('note');
create policy p on f.note for insert with check ((select redoubt.has('a:b')));

-- good: a bare call, and the word in a string
select pg_temp.tenant('note');
create policy p on f.note for select using (organization_id = redoubt.org() and body <> 'select');

-- good: a sub-select on a table of nobody
create table f.x (id int); alter table f.x enable row level security; create policy p on f.x using (id = (select 1));
