-- bad: nobody has a right
revoke all on app.item from {app};

-- good: the application has
