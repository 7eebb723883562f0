-- bad: a rule
create rule quietly as on delete to app.item do instead nothing;

-- good: a view is a rule too
create view app.v with (security_invoker = true) as select * from app.item;
