-- bad: the superuser's
create function app.t() returns trigger language plpgsql security definer set search_path = app, pg_temp as $$ begin return null; end $$;
create trigger t after insert on app.item for each row execute function app.t();

-- good: the caller's: triggers do not run as the table's owner
create function app.t() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger t after insert on app.item for each row execute function app.t();

-- good: of an owner who is bound
set role {owner};
create function app.t() returns trigger language plpgsql security definer set search_path = app, pg_temp as $$ begin return null; end $$;
create trigger t after insert on app.item for each row execute function app.t();
