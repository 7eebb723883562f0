-- bad: as they come

-- good: nobody works here as an application
revoke all on app.item from {app};
