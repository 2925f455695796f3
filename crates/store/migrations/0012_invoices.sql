CREATE TABLE invoices (
    id TEXT NOT NULL CONSTRAINT invoices_id PRIMARY KEY,
    number TEXT,
    partner_id TEXT NOT NULL REFERENCES partners (id),
    subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
    plan TEXT NOT NULL,
    plan_version BIGINT NOT NULL,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    period_end BIGINT NOT NULL,
    units BIGINT NOT NULL,
    lines TEXT NOT NULL,
    total_minor BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    finalised_at BIGINT
);
CREATE UNIQUE INDEX invoices_number ON invoices (number);
CREATE UNIQUE INDEX invoices_subscription_id_period_start ON invoices (subscription_id, period_start);
CREATE INDEX invoices_partner ON invoices (partner_id, id);

-- The last number given in each year. Its row is held until the invoices that took numbers are committed: no gaps.
CREATE TABLE invoice_numbers (
    year BIGINT NOT NULL CONSTRAINT invoice_numbers_year PRIMARY KEY,
    last BIGINT NOT NULL
);
