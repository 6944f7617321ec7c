-- What is normal for a class of devices, as it was learned.
CREATE TABLE baselines (
    class TEXT NOT NULL,
    signal TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (class, signal)
);
-- Calls of hooks: written with what they tell of, and told afterwards. While one is to be tried it
-- has a time for that.
CREATE TABLE hook_calls (
    place BIGINT NOT NULL PRIMARY KEY,
    device TEXT NOT NULL REFERENCES devices (id),
    target TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT,
    ended_at BIGINT,
    failure TEXT
);
CREATE INDEX hook_calls_due ON hook_calls (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX hook_calls_of_device ON hook_calls (device, place);
