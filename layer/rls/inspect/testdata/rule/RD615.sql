-- bad: one table
create publication news for table app.item;

-- bad: all tables
create publication news for all tables;

-- good: a list of countries
create table app.country (code text primary key);
create publication news for table app.country;
