-- bad: lines of an order
create unique index on app.item (id);
create table app.line (id uuid primary key, item_id uuid references app.item (id));
grant select on app.line to {app};

-- good: lines with their tenant
create table app.line (org_id uuid not null, id uuid, item_id uuid, primary key (org_id, id), foreign key (org_id, item_id) references app.item (org_id, id));
alter table app.line enable row level security, force row level security;
create policy floor on app.line as restrictive for all to public using (org_id = (select app.org())) with check (org_id = (select app.org()));
create policy open on app.line for all to public using (true) with check (true);
