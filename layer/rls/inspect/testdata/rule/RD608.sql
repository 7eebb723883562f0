-- bad: everybody reads
grant select on app.item to public;

-- good: the application reads
grant select on app.item to {app};
