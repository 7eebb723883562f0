-- bad: MERGE, in 15.3
-- version 150003

-- bad: statistics, in 17.5
-- version 170005

-- bad: policies of a membership that is gone, in 18.4
-- version 180004

-- bad: in the last of a version that is not maintained
-- version 130021

-- good: 18.6
-- version 180006

-- good: 17.11
-- version 170011

-- good: 16.15
-- version 160015

-- good: 15.19
-- version 150019
