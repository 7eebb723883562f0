-- bad: triggers
grant set on parameter session_replication_role to {app};

-- bad: through a group, with a name in two parts
grant set, alter system on parameter plpgsql.extra_errors to {other};
grant {other} to {app};

-- good: somebody else
grant set on parameter session_replication_role to {other};

-- good: a version that cannot
-- version 140024
grant set on parameter session_replication_role to {app};
