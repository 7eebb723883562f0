-- bad: the application is the owner
alter table app.item owner to {app};

-- good: the owner cannot log in
