-- bad: a setting of one's own
create function f.f() returns void language plpgsql as $$  begin perform set_config('app.who', 'x', true); end $$;

-- good: the transaction's mode, and a comment
create function f.f() returns void language plpgsql as $$  begin perform set_config('transaction_read_only', 'on', true); -- not set_config('app.who', '', true)
 end $$;
