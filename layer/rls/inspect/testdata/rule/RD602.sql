-- bad: as it comes

-- good: taken away
revoke temporary on database {db} from public;
