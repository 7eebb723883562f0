-- bad: a service role
create role {extra} nologin bypassrls;
grant {extra} to {app};
grant all on app.item to {extra};

-- bad: a superuser with grants
create role {extra} login superuser;
grant insert on app.item to {extra};

-- good: a backup's role reads
create role {extra} login bypassrls;
grant select on app.item to {extra};

-- good: nobody may become it
create role {extra} nologin bypassrls;
grant all on app.item to {extra};
