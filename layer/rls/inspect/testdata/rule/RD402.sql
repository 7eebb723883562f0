-- bad: of an owner who is bound
set role {owner};
create view app.all_items as select * from app.item;
grant select on app.all_items to {app};

-- good: as the caller
set role {owner};
create view app.all_items with (security_invoker = on) as select * from app.item;
grant select on app.all_items to {app};
