-- bad: TRUNCATE
grant truncate on app.item to {app};

-- good: DELETE
grant delete on app.item to {app};
