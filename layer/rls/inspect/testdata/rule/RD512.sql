-- bad: a person's role
create role {extra} nologin bypassrls;
create role {person} login;
grant {extra} to {person};

-- good: nobody's
create role {extra} nologin bypassrls;
grant {extra} to {other};
