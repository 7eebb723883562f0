-- bad: a generated column
create table f.x (a text, k text generated always as (lower(a collate "und-x-icu")) stored);

-- bad: a column
create table f.x (a text collate "de-x-icu");

-- good: no collation
create table f.x (a text, b text collate "C");
