-- When the window opens that a device waits for with an order, by its own word.
ALTER TABLE orders ADD COLUMN waits_until BIGINT;
