-- bad: as it comes

-- good: taken away
revoke connect on database {db} from public;
grant connect on database {db} to {app};
