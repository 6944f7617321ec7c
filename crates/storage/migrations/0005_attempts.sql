-- How often a rollout has ordered a device to activate its release.
ALTER TABLE rollout_devices ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
