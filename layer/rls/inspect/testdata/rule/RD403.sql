-- bad: a summary
create materialized view app.summary as select org_id, count(*) from app.item group by org_id;
grant select on app.summary to {app};

-- good: a summary that nobody may read
create materialized view app.summary as select org_id, count(*) from app.item group by org_id;
