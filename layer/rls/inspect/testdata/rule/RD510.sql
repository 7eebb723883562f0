-- bad: reads files
grant pg_read_server_files to {app};

-- bad: reads what others ask, through a group
grant pg_monitor to {other};
grant {other} to {app};

-- good: somebody else's role
grant pg_monitor to {other};

-- bad: uses the connections that are kept
-- needs 16
grant pg_use_reserved_connections to {app};

-- bad: subscribes to other servers
-- needs 16
grant pg_create_subscription to {app};

-- bad: maintains every table
-- needs 17
grant pg_maintain to {app};

-- bad: ends autovacuum
-- needs 18
grant pg_signal_autovacuum_worker to {app};
