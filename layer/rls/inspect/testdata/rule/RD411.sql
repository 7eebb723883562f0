-- bad: disabled
create function app.t() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger t after insert on app.item for each row execute function app.t();
alter table app.item disable trigger t;

-- good: enabled
create function app.t() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger t after insert on app.item for each row execute function app.t();
