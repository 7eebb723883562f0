-- bad: as it comes

-- good: taken away
revoke execute on function pg_catalog.set_config(text, text, boolean) from public;
