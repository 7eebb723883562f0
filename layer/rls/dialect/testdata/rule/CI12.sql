-- bad: a rule
select pg_temp.tenant('note');
create rule r as on insert to f.note do also nothing;

-- good: a view
select pg_temp.tenant('note');
create view f.v with (security_invoker = true) as select * from f.note;
