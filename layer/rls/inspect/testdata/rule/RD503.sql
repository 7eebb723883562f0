-- bad: two steps away
create role {extra} nologin bypassrls;
grant {extra} to {other};
grant {other} to {app};

-- good: a person's role, not the application's
create role {extra} nologin bypassrls;
create role {person} login;
grant {extra} to {person};
