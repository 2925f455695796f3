-- Sums of calls, written in the transaction that takes the seal they come from. No foreign keys: a batch never fails
-- because a record that it names is gone.

CREATE TABLE seals (
    node TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    segment TEXT NOT NULL,
    first_slot BIGINT NOT NULL,
    slot_count BIGINT NOT NULL,
    previous TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    sealed_at BIGINT NOT NULL,
    taken_at BIGINT NOT NULL,
    CONSTRAINT seals_node_sequence PRIMARY KEY (node, sequence)
);

CREATE TABLE key_usage (
    key_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    operation BIGINT NOT NULL,
    environment TEXT NOT NULL,
    calls BIGINT NOT NULL,
    successes BIGINT NOT NULL,
    units BIGINT NOT NULL,
    latency_micros BIGINT NOT NULL,
    CONSTRAINT key_usage_key_id_day_operation_environment
        PRIMARY KEY (key_id, day, operation, environment)
);

CREATE TABLE usage_periods (
    subscription_id TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    units BIGINT NOT NULL,
    CONSTRAINT usage_periods_subscription_id_period_start
        PRIMARY KEY (subscription_id, period_start)
);

-- `key_id` is empty where no key was known.
CREATE TABLE refused (
    day BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    code TEXT NOT NULL,
    count BIGINT NOT NULL,
    CONSTRAINT refused_day_key_id_code PRIMARY KEY (day, key_id, code)
);
