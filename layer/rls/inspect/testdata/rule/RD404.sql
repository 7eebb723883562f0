-- bad: a remote table
create foreign data wrapper wrapper;
create server elsewhere foreign data wrapper wrapper;
create foreign table app.remote (org_id uuid, body text) server elsewhere;
grant select on app.remote to {app};

-- good: a remote list of countries
create foreign data wrapper wrapper;
create server elsewhere foreign data wrapper wrapper;
create foreign table app.remote (code text) server elsewhere;
grant select on app.remote to {app};
