-- Points in time are milliseconds since the Unix epoch; what has structure is JSON in text.
-- Only what both SQLite and PostgreSQL understand stands here.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Secrets are known by their SHA-256 only.
CREATE TABLE tokens (
    hash TEXT NOT NULL PRIMARY KEY,
    note TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    used_by TEXT
);

CREATE TABLE sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE TABLE devices (
    id TEXT NOT NULL PRIMARY KEY,
    credential TEXT NOT NULL UNIQUE,
    hostname TEXT NOT NULL,
    platform TEXT NOT NULL,
    active TEXT,
    facts TEXT NOT NULL,
    enrolled_at BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    -- The highest generation that was ever given to it or heard from it.
    generation BIGINT NOT NULL
);

CREATE TABLE manifests (
    digest TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE releases (
    id TEXT NOT NULL PRIMARY KEY,
    manifest TEXT NOT NULL REFERENCES manifests (digest),
    archive TEXT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX releases_by_archive ON releases (archive);

CREATE TABLE rollouts (
    id TEXT NOT NULL PRIMARY KEY,
    place BIGINT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT,
    spec TEXT NOT NULL,
    left_out TEXT NOT NULL,
    author TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX rollouts_by_state ON rollouts (state);

CREATE TABLE rings (
    rollout TEXT NOT NULL REFERENCES rollouts (id),
    place BIGINT NOT NULL,
    state TEXT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    PRIMARY KEY (rollout, place)
);

CREATE TABLE rollout_devices (
    rollout TEXT NOT NULL REFERENCES rollouts (id),
    device TEXT NOT NULL REFERENCES devices (id),
    ring BIGINT NOT NULL,
    target TEXT NOT NULL REFERENCES releases (id),
    step TEXT NOT NULL,
    since BIGINT NOT NULL,
    -- The rollout's latest order for the device.
    generation BIGINT,
    previous TEXT,
    is_silent BIGINT NOT NULL,
    is_waived BIGINT NOT NULL,
    bytes_downloaded BIGINT NOT NULL,
    failure TEXT,
    PRIMARY KEY (rollout, device)
);
CREATE INDEX rollout_devices_by_device ON rollout_devices (device);

CREATE TABLE orders (
    device TEXT NOT NULL REFERENCES devices (id),
    generation BIGINT NOT NULL,
    rollout TEXT NOT NULL REFERENCES rollouts (id),
    want TEXT NOT NULL,
    body TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    step TEXT NOT NULL,
    step_at BIGINT NOT NULL,
    -- When it took another step or got more bytes.
    progressed_at BIGINT NOT NULL,
    -- Of the latest report that counted.
    sequence BIGINT,
    bytes_downloaded BIGINT NOT NULL,
    failure TEXT,
    receipt TEXT,
    PRIMARY KEY (device, generation)
);
CREATE INDEX orders_by_rollout ON orders (rollout, device);

CREATE TABLE events (
    sequence BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    device TEXT,
    rollout TEXT,
    body TEXT NOT NULL
);
