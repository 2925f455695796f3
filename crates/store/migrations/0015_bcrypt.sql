-- Keys that another system knew by their bcrypt hash only.
--
-- Such a key's `keys.hash` is 32 random bytes, which no secret has as its SHA-256, until its first use puts the
-- true digest there. The row stays, so that the same file imported again finds it.

CREATE TABLE key_bcrypt (
    key_id TEXT NOT NULL CONSTRAINT key_bcrypt_key_id PRIMARY KEY REFERENCES keys (id),
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL,
    upgraded_at BIGINT
);
CREATE UNIQUE INDEX key_bcrypt_hash ON key_bcrypt (hash);
CREATE INDEX key_bcrypt_prefix ON key_bcrypt (prefix);
