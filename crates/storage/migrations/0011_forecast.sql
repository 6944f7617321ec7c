-- What was forecast of a rollout when it was started.
ALTER TABLE rollouts ADD COLUMN forecast TEXT;
