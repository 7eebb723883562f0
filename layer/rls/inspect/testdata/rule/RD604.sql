-- bad: tables in a schema
alter default privileges for role {owner} in schema app grant select on tables to public;

-- bad: sequences anywhere
alter default privileges for role {owner} grant usage on sequences to public;

-- good: to the application
alter default privileges for role {owner} in schema app grant select on tables to {app};
alter default privileges for role {owner} revoke execute on functions from public;

-- bad: large objects
-- needs 18
alter default privileges for role {owner} grant select on large objects to public;
