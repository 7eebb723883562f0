-- bad: a member of the owner
grant {owner} to {app};

-- good: a member of another
grant {other} to {app};

-- bad: by its rights alone
-- needs 16
grant {owner} to {app} with inherit true, set false;

-- good: a membership that gives nothing
-- needs 16
grant {owner} to {app} with inherit false, set false;
