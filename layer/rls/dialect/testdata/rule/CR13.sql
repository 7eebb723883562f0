-- bad: a domain
create domain f.email as text;
create table f.x (e f.email);

-- bad: a range
create table f.x (d tstzrange);

-- good: plain types
create table f.x (e text check (e like '%@%'), f timestamptz, t timestamptz);
