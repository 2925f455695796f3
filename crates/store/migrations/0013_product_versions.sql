-- Several targets and several versions of a product.

-- Lists as JSON. `upstream` and `sandbox` are the short forms of one target.
ALTER TABLE products ADD COLUMN targets TEXT NOT NULL DEFAULT '[]';
ALTER TABLE products ADD COLUMN sandbox_targets TEXT NOT NULL DEFAULT '[]';

-- Further versions with their operations; the row's own members are the default version.
ALTER TABLE products ADD COLUMN versions TEXT NOT NULL DEFAULT '[]';

-- Documents of further versions, as `spec_files` holds those of the default ones.
CREATE TABLE version_files (
    product_id TEXT NOT NULL REFERENCES products (id),
    version TEXT NOT NULL,
    path TEXT NOT NULL,
    bytes BYTEA NOT NULL,
    CONSTRAINT version_files_path PRIMARY KEY (product_id, version, path)
);
