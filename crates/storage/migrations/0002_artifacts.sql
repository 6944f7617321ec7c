-- Packs and deltas that were made, or could not be; the original archives stand in releases.
CREATE TABLE artifacts (
    kind TEXT NOT NULL,
    release TEXT NOT NULL REFERENCES releases (id),
    -- The manifest of the tree that a delta begins with; empty for a pack.
    base TEXT NOT NULL,
    format BIGINT NOT NULL,
    state TEXT NOT NULL,
    sha256 TEXT,
    bytes BIGINT,
    reason TEXT,
    made_at BIGINT NOT NULL,
    took_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, release, base)
);

CREATE TABLE edges (
    id TEXT NOT NULL PRIMARY KEY,
    credential TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    site TEXT NOT NULL,
    url TEXT NOT NULL,
    enrolled_at BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    -- Bytes that it has sent to devices, and those that it fetched for it, since it enrolled.
    served_bytes BIGINT NOT NULL,
    fetched_bytes BIGINT NOT NULL
);

-- How the release came onto the device.
ALTER TABLE orders ADD COLUMN way TEXT;
ALTER TABLE rollout_devices ADD COLUMN way TEXT;
