-- bad: a backup's role
create role {extra} login bypassrls;
grant select on app.item to {extra};

-- good: nobody logs in as it
create role {extra} nologin bypassrls;
