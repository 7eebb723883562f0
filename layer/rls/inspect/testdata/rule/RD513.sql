-- bad: the application
alter role {app} createrole;

-- bad: whoever logs in, before 16
-- version 150019
create role {person} login createrole;

-- good: whoever logs in, since 16
-- version 160015
create role {person} login createrole;

-- good: nobody logs in as it
create role {extra} createrole;
