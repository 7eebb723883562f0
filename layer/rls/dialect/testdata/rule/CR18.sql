-- bad: NEW without parentheses
create function f.f() returns trigger language plpgsql as $$  begin if new.id is null then return null; end if; return new; end $$;

-- good: an assignment, and parentheses
create function f.f() returns trigger language plpgsql as $$  begin new.id := (old).id; new.body = (new).body; return new; end $$;
