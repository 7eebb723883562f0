-- bad: two steps away
create role {extra} nologin bypassrls;
grant {extra} to {other};
grant {other} to {app};

-- good: a person's role, not the application's
create role {extra} nologin bypassrls;
create role {person} login;
grant {extra} to {person};

-- bad: granted by somebody else
create role {extra} nologin bypassrls;
create role {person};
grant {extra} to {person} with admin option;
set role {person};
grant {extra} to {app};
reset role;

-- bad: with ADMIN, which is enough to give oneself the rest
-- needs 16
create role {extra} nologin bypassrls;
grant {extra} to {app} with admin true, inherit false, set false;

-- good: rights, which do not hold BYPASSRLS, and no SET ROLE
-- needs 16
create role {extra} nologin bypassrls;
grant {extra} to {app} with inherit true, set false;

-- good: a membership that gives nothing
-- needs 16
create role {extra} nologin bypassrls;
grant {extra} to {app} with admin false, inherit false, set false;
