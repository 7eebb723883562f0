-- bad: by id alone
create unique index on app.item (id);
create table app.line (org_id uuid not null, id uuid, item_id uuid references app.item (id) on delete cascade, primary key (org_id, id));
alter table app.line enable row level security, force row level security;
create policy floor on app.line as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.line for all to public using (true) with check (true);

-- bad: by id alone, setting null
create table app.head (org_id uuid not null, id uuid primary key, unique (org_id, id));
create table app.line (org_id uuid not null, id uuid, head_id uuid references app.head (id) on delete set null deferrable, primary key (org_id, id));
alter table app.line enable row level security, force row level security;
create policy floor on app.line as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.line for all to public using (true) with check (true);
alter table app.head enable row level security, force row level security;
create policy floor on app.head as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.head for all to public using (true) with check (true);

-- good: paired
create table app.line (org_id uuid not null, id uuid, item_id uuid, primary key (org_id, id), foreign key (item_id, org_id) references app.item (id, org_id) on delete cascade);
alter table app.line enable row level security, force row level security;
create policy floor on app.line as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.line for all to public using (true) with check (true);

-- bad: in time, by id alone
-- needs 18
create extension btree_gist;
create table app.head (org_id uuid not null, id uuid, during tsrange, primary key (id, during without overlaps));
create table app.line (org_id uuid not null, id uuid, head_id uuid, during tsrange, primary key (org_id, id), foreign key (head_id, period during) references app.head (id, period during));
alter table app.line enable row level security, force row level security;
create policy floor on app.line as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.line for all to public using (true) with check (true);
alter table app.head enable row level security, force row level security;
create policy floor on app.head as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.head for all to public using (true) with check (true);

-- good: paired, in time
-- needs 18
create extension btree_gist;
create table app.head (org_id uuid not null, id uuid, during tsrange, primary key (org_id, id, during without overlaps));
create table app.line (org_id uuid not null, id uuid, head_id uuid, during tsrange, primary key (org_id, id), foreign key (org_id, head_id, period during) references app.head (org_id, id, period during));
alter table app.line enable row level security, force row level security;
create policy floor on app.line as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.line for all to public using (true) with check (true);
alter table app.head enable row level security, force row level security;
create policy floor on app.head as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.head for all to public using (true) with check (true);
