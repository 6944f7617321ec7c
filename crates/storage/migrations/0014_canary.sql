-- The latest look at the signals of a ring's devices.
ALTER TABLE rings ADD COLUMN look TEXT;
