-- Accounts of people. The key is the name in small letters: case does not count. The password is
-- kept as an Argon2id hash in PHC form; without one nobody can log in by password.
CREATE TABLE accounts (
    key TEXT NOT NULL PRIMARY KEY,
    password TEXT,
    body TEXT NOT NULL
);
-- By which programs act for an account; of the secret the digest is kept.
CREATE TABLE api_tokens (
    hash TEXT NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX api_tokens_by_account ON api_tokens (account);
-- Whose session it is; none: whoever held the administrator's token.
ALTER TABLE sessions ADD COLUMN account TEXT;
-- What rules forbid.
CREATE TABLE rules (
    name TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);
-- The latest requests with what was said to them, so that rules can be tried on them.
CREATE TABLE access_decisions (
    sequence BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    body TEXT NOT NULL
);
-- For whom a rollout acts: who started it, or resumed it last.
ALTER TABLE rollouts ADD COLUMN acts_for TEXT;
ALTER TABLE audit ADD COLUMN ticket TEXT;
-- Who imported a release, for those who must not approve it.
ALTER TABLE releases ADD COLUMN imported_by TEXT;
UPDATE releases SET imported_by = (
    SELECT actor FROM audit WHERE action = 'release.imported' AND subject = releases.id
    ORDER BY sequence LIMIT 1
);
