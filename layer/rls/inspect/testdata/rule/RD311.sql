-- bad: lower()
create index on app.item (lower(name));

-- bad: an enum
create type app.state as enum ('a', 'b');
alter table app.item add state app.state;
create index on app.item (state) where state <> 'a';

-- bad: numeric
alter table app.item add price numeric;
create index on app.item (price);

-- bad: jsonb, an array and a tsvector, by GIN
alter table app.item add a jsonb, add b text[], add c tsvector;
create index on app.item using gin (a);
create index on app.item using gin (b);
create index on app.item using gin (c);

-- bad: citext
create extension citext;
alter table app.item add email citext;
create index on app.item (email);

-- good: leakproof types, and what begins with the tenant
create type app.state as enum ('a');
alter table app.item add n bigint, add at timestamptz, add state app.state;
create index on app.item (name);
create index on app.item (n);
create index on app.item (at);
create index on app.item (org_id, lower(name));
create index on app.item (org_id, state);
