-- bad: a foreign key
-- needs 18
create table app.line (org_id uuid not null, id uuid, item_id uuid, primary key (org_id, id), foreign key (org_id, item_id) references app.item (org_id, id) not enforced);
alter table app.line enable row level security, force row level security;
create policy floor on app.line as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.line for all to public using (true) with check (true);

-- bad: a check
-- needs 18
alter table app.item add constraint named check (name <> '') not enforced;

-- good: what is enforced, or will be
create table app.line (org_id uuid not null, id uuid, item_id uuid, name text check (name <> ''), primary key (org_id, id));
alter table app.line add foreign key (org_id, item_id) references app.item (org_id, id) not valid;
alter table app.line enable row level security, force row level security;
create policy floor on app.line as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.line for all to public using (true) with check (true);
