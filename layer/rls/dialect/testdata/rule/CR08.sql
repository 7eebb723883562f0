-- bad: update of a column
select pg_temp.tenant('note');
grant update (body) on f.note to redoubt_app;

-- good: the whole table
select pg_temp.tenant('note');
grant update on f.note to redoubt_app;
