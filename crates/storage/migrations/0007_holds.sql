-- What keeps devices out of rollouts. Who was let in again, and when, stands in the events.
CREATE TABLE holds (
    id TEXT NOT NULL PRIMARY KEY,
    place BIGINT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    lifted_at BIGINT
);
ALTER TABLE devices ADD COLUMN quarantine TEXT;
-- What a rollout has put a device into quarantine for.
ALTER TABLE rollout_devices ADD COLUMN quarantined_for TEXT;
