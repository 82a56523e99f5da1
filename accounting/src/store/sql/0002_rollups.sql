-- Sums per hour for dashboards. Never written by an insert trigger: whole days are rebuilt from the events
-- into a stage table of the run and swapped in, so that duplicates and corrections cannot be added twice.
CREATE TABLE IF NOT EXISTS rollup_hourly
(
    hour            DateTime('UTC'),
    tenant          LowCardinality(String),
    cost_center     LowCardinality(String),
    team            LowCardinality(String),
    app             LowCardinality(String),
    product         LowCardinality(String),
    subscription    LowCardinality(String),
    key_id          LowCardinality(String),
    operation       LowCardinality(String),
    provider        LowCardinality(String),
    backend         LowCardinality(String),
    region          LowCardinality(String),
    model_requested LowCardinality(String),
    model           LowCardinality(String),
    outcome         LowCardinality(String),
    usage_source    LowCardinality(String),
    class           LowCardinality(String),
    sku             LowCardinality(String),
    price_id        LowCardinality(String),
    unit_price      Decimal(38, 12),
    currency        LowCardinality(String),

    qty             UInt64,
    cost            Decimal(38, 12),
    -- Counted on the first line of each event alone, so that sums over lines stay right.
    requests        UInt64,
    attempts        UInt64,
    unpriced        UInt64,
    built_at        DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(hour)
ORDER BY (tenant, cost_center, hour, model, class);

-- How far the rollup has seen rows arrive (max of inserted_at); one row per rollup.
CREATE TABLE IF NOT EXISTS rollup_state
(
    rollup          LowCardinality(String),
    watermark       DateTime64(3, 'UTC'),
    built_at        DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(built_at)
ORDER BY rollup;

CREATE VIEW IF NOT EXISTS v_rollup_daily AS
SELECT
    toDate(hour) AS day, tenant, cost_center, team, app, product, subscription, provider, model,
    outcome, usage_source, class, sku, price_id, unit_price, currency,
    sum(qty) AS quantity, sum(cost) AS total_cost, sum(requests) AS total_requests,
    sum(attempts) AS total_attempts, sum(unpriced) AS total_unpriced
FROM rollup_hourly
GROUP BY ALL;
