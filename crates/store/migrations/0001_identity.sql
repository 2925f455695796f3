-- Who may act, what they may hold, and what the data plane is told about it.
-- Unique indexes are named table_column so that both engines report the same name.

CREATE TABLE partners (
    id TEXT NOT NULL CONSTRAINT partners_id PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT NOT NULL CONSTRAINT users_id PRIMARY KEY,
    email TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    staff_role TEXT,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email);

CREATE TABLE members (
    user_id TEXT NOT NULL REFERENCES users (id),
    partner_id TEXT NOT NULL REFERENCES partners (id),
    role TEXT NOT NULL,
    CONSTRAINT members_user_id_partner_id PRIMARY KEY (user_id, partner_id)
);
CREATE INDEX members_partner ON members (partner_id);

CREATE TABLE sessions (
    hash BYTEA NOT NULL CONSTRAINT sessions_hash PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_expiry ON sessions (expires_at);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE tokens (
    id TEXT NOT NULL CONSTRAINT tokens_id PRIMARY KEY,
    name TEXT NOT NULL,
    hash BYTEA NOT NULL,
    staff_role TEXT,
    partner_id TEXT REFERENCES partners (id),
    partner_role TEXT,
    created_by TEXT,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);

CREATE TABLE keys (
    id TEXT NOT NULL CONSTRAINT keys_id PRIMARY KEY,
    partner_id TEXT NOT NULL REFERENCES partners (id),
    subscription_id TEXT NOT NULL,
    name TEXT NOT NULL,
    hash BYTEA NOT NULL,
    prefix TEXT NOT NULL,
    environment TEXT NOT NULL,
    scopes TEXT NOT NULL,
    products TEXT,
    rate_limit_per_minute BIGINT,
    allowed_ips TEXT NOT NULL,
    expires_at BIGINT,
    disabled_at BIGINT,
    revoked_at BIGINT,
    created_at BIGINT NOT NULL,
    imported BIGINT NOT NULL,
    -- Set by a roll with a grace period: the key still works, but no longer counts against the cap.
    replaced_by TEXT
);
CREATE UNIQUE INDEX keys_hash ON keys (hash);
CREATE INDEX keys_partner ON keys (partner_id, id);

-- Apart from the key, so that counting calls never rewrites the record that the data plane reads.
CREATE TABLE key_totals (
    key_id TEXT NOT NULL CONSTRAINT key_totals_key_id PRIMARY KEY REFERENCES keys (id),
    total_requests BIGINT NOT NULL,
    last_used_at BIGINT
);

CREATE TABLE audit (
    id TEXT NOT NULL CONSTRAINT audit_id PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    partner_id TEXT,
    detail TEXT NOT NULL
);
CREATE INDEX audit_partner ON audit (partner_id, id);

-- One row: the writer that updates it holds it until its commit, so sequences are committed in order.
CREATE TABLE feed_head (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    sequence BIGINT NOT NULL
);
INSERT INTO feed_head (one, sequence) VALUES (1, 0);

CREATE TABLE feed (
    sequence BIGINT NOT NULL CONSTRAINT feed_sequence PRIMARY KEY,
    kind TEXT NOT NULL,
    record_id TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE TABLE nodes (
    node TEXT NOT NULL CONSTRAINT nodes_node PRIMARY KEY,
    sequence BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
