-- bad: of the superuser's
create view app.all_items as select * from app.item;
grant select on app.all_items to {app};

-- bad: through another view
create view app.inner_items as select * from app.item;
create view app.all_items as select name from app.inner_items;
grant select on app.all_items to {app};

-- bad: of an owner who is not bound
alter table app.item no force row level security;
set role {owner};
create view app.all_items as select * from app.item;
grant select on app.all_items to {app};

-- good: as the caller
create view app.all_items with (security_invoker = true) as select * from app.item;
grant select on app.all_items to {app};

-- good: nobody may read it
create view app.all_items as select * from app.item;
