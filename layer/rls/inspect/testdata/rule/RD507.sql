-- bad: replication
create role {extra} login replication;

-- good: nobody logs in as it
create role {extra} nologin replication;
