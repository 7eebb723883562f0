-- bad: twice
create index a on app.item (name);
create index b on app.item (name);

-- bad: as the key
create index a on app.item (org_id, id);

-- good: another order and another part
create index a on app.item (name);
create index b on app.item (name desc);
create index c on app.item (name) where name <> '';
