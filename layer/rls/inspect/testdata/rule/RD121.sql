-- bad: no column that is known
drop table app.item cascade;
create table app.thing (owner_group uuid);

-- good: a column that is known
