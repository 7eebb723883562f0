-- bad: an older one
create extension pg_trgm version '1.5';

-- good: the newest
create extension pg_trgm;
