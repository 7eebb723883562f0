-- bad: without TRUSTED
create language loose handler plpgsql_call_handler;

-- good: TRUSTED
create trusted language tight handler plpgsql_call_handler;
