-- bad: a default
select pg_temp.tenant('note');
alter table f.note alter id set default redoubt.profile();

-- bad: a check
create function f.ok(t text) returns boolean immutable language plpgsql as $$ begin return true; end $$;
select pg_temp.tenant('note');
alter table f.note add check (f.ok(body));

-- bad: an index
create function f.ok(t text) returns boolean immutable language plpgsql as $$ begin return true; end $$;
select pg_temp.tenant('note');
create index on f.note (organization_id, f.ok(body));

-- good: built-in functions
select pg_temp.tenant('note');
alter table f.note add at timestamptz default now(), add check (length(body) > 0);
