-- bad: one that is on
create function f.e() returns event_trigger language plpgsql as $$ begin end $$;
create event trigger f_e on ddl_command_end execute function f.e();

-- good: one that is off
create function f.e() returns event_trigger language plpgsql as $$ begin end $$;
create event trigger f_e on ddl_command_end execute function f.e();
alter event trigger f_e disable;
