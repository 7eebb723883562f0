-- bad: a member of the owner
grant {owner} to {app};

-- good: a member of another
grant {other} to {app};
