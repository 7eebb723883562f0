-- bad: for a statement
select pg_temp.tenant('note');
create trigger g before truncate on f.note for each statement execute function audit.refuse();

-- bad: in place of a row
select pg_temp.tenant('note');
create view f.v as select * from f.note;
create trigger g instead of insert on f.v for each row execute function audit.refuse();

-- bad: with the old rows as a table
select pg_temp.tenant('note');
create trigger g after delete on f.note referencing old table as o for each row execute function audit.refuse();

-- good: for each row
select pg_temp.tenant('note');
create trigger g after insert on f.note for each row execute function audit.row();
