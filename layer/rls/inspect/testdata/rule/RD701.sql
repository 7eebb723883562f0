-- bad: MERGE, in 15.3
-- version 150003

-- bad: statistics, in 17.5
-- version 170005

-- good: 18.4
-- version 180004

-- good: 15.18
-- version 150018
