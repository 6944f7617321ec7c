-- When a rollout first offered its release to the user of a device, and who has said that the user
-- need not be asked.
ALTER TABLE rollout_devices ADD COLUMN offered_at BIGINT;
ALTER TABLE rollout_devices ADD COLUMN assigned_by TEXT;
-- What the user has answered to an order that is an offer.
ALTER TABLE orders ADD COLUMN answer TEXT;
