-- bad: an open parent of a protected partition
create table app.note (org_id uuid not null, id uuid not null, primary key (org_id, id)) partition by hash (org_id);
create table app.note_0 partition of app.note for values with (modulus 1, remainder 0);
alter table app.note_0 enable row level security, force row level security;
create policy floor on app.note_0 as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note_0 for all to public using (true) with check (true);
grant select on app.note to {app};

-- bad: an open parent by INHERITS
create table app.base (org_id uuid not null);
create table app.derived () inherits (app.base);
alter table app.derived enable row level security, force row level security;
create policy floor on app.derived as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.derived for all to public using (true) with check (true);

-- good: both protected
create table app.note (org_id uuid not null, id uuid not null, primary key (org_id, id)) partition by hash (org_id);
create table app.note_0 partition of app.note for values with (modulus 1, remainder 0);
alter table app.note enable row level security, force row level security;
create policy floor on app.note as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note for all to public using (true) with check (true);
alter table app.note_0 enable row level security, force row level security;
create policy floor on app.note_0 as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.note_0 for all to public using (true) with check (true);
