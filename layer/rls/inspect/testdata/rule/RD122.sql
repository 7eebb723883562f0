-- bad: a list of countries
create table app.country (code text primary key);

-- good: a table that is protected by something else
create table app.diary (person_id uuid primary key);
alter table app.diary enable row level security;
