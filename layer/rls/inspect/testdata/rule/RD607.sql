-- bad: all
grant all on app.item to {app};

-- bad: REFERENCES on a column
grant references (id) on app.item to {other};

-- good: SELECT
grant select on app.item to {app};
