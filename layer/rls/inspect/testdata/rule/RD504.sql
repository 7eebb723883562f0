-- bad: the application is the owner
alter table app.item owner to {app};
alter table app.item no force row level security;

-- good: forced
alter table app.item owner to {app};
