-- bad: public
grant create on schema app to public;

-- bad: the application
grant create on schema app to {app};

-- good: somebody else
grant create on schema app to {other};
