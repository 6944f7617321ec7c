-- Devices and distribution points are known by the digest of their public key (the column
-- credential). One that is revoked is known no more.
ALTER TABLE devices ADD COLUMN revoked_at BIGINT;
ALTER TABLE edges ADD COLUMN revoked_at BIGINT;
-- For which machines a token is good: JSON; nothing is any machine.
ALTER TABLE tokens ADD COLUMN scope TEXT;
