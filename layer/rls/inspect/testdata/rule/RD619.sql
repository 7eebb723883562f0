-- bad: the application
-- needs 17
grant maintain on app.item to {app};

-- bad: everybody
-- needs 17
grant maintain on app.item to public;

-- good: what PostgreSQL 15 knows
grant select, insert, references on app.item to {app};
