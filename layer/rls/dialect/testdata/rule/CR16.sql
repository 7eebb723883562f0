-- bad: a view as its caller
select pg_temp.tenant('note');
create view f.v with (security_invoker = true) as select * from f.note;

-- good: a view as its owner
select pg_temp.tenant('note');
create view f.v as select * from f.note;
