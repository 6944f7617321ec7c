-- The decisions of a rollout, among the many events of its devices.
CREATE INDEX decisions ON events (rollout, sequence) WHERE device IS NULL AND rollout IS NOT NULL;
