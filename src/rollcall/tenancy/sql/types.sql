-- What is known of a seat from the moment it is taken.

CREATE TYPE fn.seat AS (
    kind text,              -- any, free, over, last, none (fn.take_seat)
    allowed integer,        -- seats of the tenant; NULL is any number
    used bigint             -- active people before; NULL where nobody counted
);
