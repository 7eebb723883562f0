-- bad: reads files
grant pg_read_server_files to {app};

-- bad: reads what others ask, through a group
grant pg_monitor to {other};
grant {other} to {app};

-- good: somebody else's role
grant pg_monitor to {other};
