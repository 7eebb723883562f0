-- bad: a password
alter table app.item add smtp_password text;
grant select on app.item to {app};

-- good: a hash, and a column that is not granted
revoke select on app.item from {app};
alter table app.item add password_hash text, add api_key text;
grant select (org_id, id, password_hash) on app.item to {app};
