-- bad: a trigger on a tenant table
select pg_temp.tenant('note');
create trigger g after insert on f.note for each row execute function audit.row();

-- bad: a trigger on a table for everybody
create table f.country (code text primary key);
create trigger g before update on f.country for each row execute function audit.refuse();

-- good: none, and the triggers of a foreign key
select pg_temp.tenant('note');
select pg_temp.tenant('other');
alter table f.other add note_id uuid, add foreign key (organization_id, note_id) references f.note (organization_id, id);
