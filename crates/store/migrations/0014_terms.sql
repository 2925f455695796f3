-- Terms of single subscriptions and keys.

-- What was agreed beside the plan; null = as the plan says. Limits and quota are JSON.
ALTER TABLE subscriptions ADD COLUMN limits TEXT;
ALTER TABLE subscriptions ADD COLUMN quota TEXT;
ALTER TABLE subscriptions ADD COLUMN concurrency BIGINT;
ALTER TABLE subscriptions ADD COLUMN spend_cap_minor BIGINT;

-- A key's own windows beside rate_limit_per_minute, as JSON; null = none.
ALTER TABLE keys ADD COLUMN windows TEXT;
