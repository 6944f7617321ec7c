-- Named collections of devices. The key is the name in small letters: case does not count.
CREATE TABLE collections (
    key TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);
-- Up to which event a rollout has looked for devices that come late; none in rollouts that were
-- started before there was a rule for them.
ALTER TABLE rollouts ADD COLUMN looked_upto BIGINT;
CREATE INDEX events_by_kind ON events (kind, sequence);
