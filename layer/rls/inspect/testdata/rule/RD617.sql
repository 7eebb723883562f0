-- bad: in public
create extension pg_trgm schema public;

-- bad: among the tables
create extension pg_trgm schema app;

-- good: in a schema of its own
create schema extension;
create extension pg_trgm schema extension;
