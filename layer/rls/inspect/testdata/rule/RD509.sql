-- bad: on error
-- apart
alter database {db} set log_parameter_max_length_on_error = -1;

-- bad: with every statement
-- apart
alter database {db} set log_statement = 'all';
alter database {db} set log_parameter_max_length = -1;

-- good: never
-- apart
alter database {db} set log_statement = 'all';
alter database {db} set log_parameter_max_length = 0;
