-- What is for sale, and who bought it.

-- One row: whoever changes the catalogue updates it first, so that changes follow one another.
CREATE TABLE catalogue_head (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    revision BIGINT NOT NULL
);
INSERT INTO catalogue_head (one, revision) VALUES (1, 0);

CREATE TABLE products (
    id TEXT NOT NULL CONSTRAINT products_id PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    version TEXT NOT NULL,
    status TEXT NOT NULL,
    category TEXT,
    tags TEXT NOT NULL,
    upstream TEXT,
    sandbox TEXT,
    settings TEXT NOT NULL,
    operations TEXT NOT NULL,
    document_sha256 TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- The OpenAPI document (empty path) and the files it refers to, as they were read.
CREATE TABLE spec_files (
    product_id TEXT NOT NULL REFERENCES products (id),
    path TEXT NOT NULL,
    bytes BYTEA NOT NULL,
    CONSTRAINT spec_files_product_id_path PRIMARY KEY (product_id, path)
);

-- Only ever added to: rollups of operations that a document no longer has keep their names.
CREATE TABLE operation_names (
    operation BIGINT NOT NULL CONSTRAINT operation_names_operation PRIMARY KEY,
    product_id TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL
);

-- A published version is never edited. `terms` is the whole plan as JSON.
CREATE TABLE plans (
    slug TEXT NOT NULL,
    version BIGINT NOT NULL,
    terms TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    CONSTRAINT plans_slug_version PRIMARY KEY (slug, version)
);

-- `anchor_at` is null for calendar months.
CREATE TABLE subscriptions (
    id TEXT NOT NULL CONSTRAINT subscriptions_id PRIMARY KEY,
    partner_id TEXT NOT NULL REFERENCES partners (id),
    plan TEXT NOT NULL,
    plan_version BIGINT NOT NULL,
    status TEXT NOT NULL,
    anchor_at BIGINT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    CONSTRAINT subscriptions_plan FOREIGN KEY (plan, plan_version) REFERENCES plans (slug, version)
);
CREATE INDEX subscriptions_partner ON subscriptions (partner_id, id);
