-- The audit log. Each entry is made of its columns and nothing else, and its hash covers all of
-- them: see gofleet_core::audit.
CREATE TABLE audit (
    sequence BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    -- When the log was told, if it could not be written at that time.
    told_at BIGINT,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    via TEXT,
    origin TEXT,
    action TEXT NOT NULL,
    subject TEXT,
    details TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);
