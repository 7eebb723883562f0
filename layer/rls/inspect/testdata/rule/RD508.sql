-- bad: a tenant by default
alter role {app} set "app.org_id" = '11111111-1111-1111-1111-111111111111';

-- bad: triggers sleep, in this database
alter role {app} in database {db} set session_replication_role = replica;
alter database {db} set row_security = off;

-- good: limits
alter role {app} set statement_timeout = '5s';
alter database {db} set "other.setting" = 'x';

-- bad: event triggers
-- needs 17
alter role {app} set event_triggers = off;
