-- bad: 13
-- version 130023

-- good: 17
-- version 170010
