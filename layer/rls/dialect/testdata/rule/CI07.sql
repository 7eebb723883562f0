-- bad: set null, with a list of columns
select pg_temp.tenant('note');
select pg_temp.tenant('other');
alter table f.other add note_id uuid, add foreign key (organization_id, note_id) references f.note (organization_id, id) on delete set null (note_id);

-- bad: set default on update
select pg_temp.tenant('note');
select pg_temp.tenant('other');
alter table f.other add note_id uuid, add foreign key (organization_id, note_id) references f.note (organization_id, id) on update set default;

-- good: cascade, and set null without the organization
select pg_temp.tenant('note');
select pg_temp.tenant('other');
create table f.country (code text primary key);
alter table f.other add note_id uuid, add country text references f.country on delete set null, add foreign key (organization_id, note_id) references f.note (organization_id, id) on delete cascade;
