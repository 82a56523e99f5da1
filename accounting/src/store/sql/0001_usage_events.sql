-- One row per version of a usage event. The highest version of an event_id wins; reading with FINAL gives
-- each event once, however often it was delivered. Tenant and event_time are part of the sort key, so all
-- versions of one event must agree on them. The interval of the TTL is that of `retention_months` after a start.
CREATE TABLE IF NOT EXISTS usage_events
(
    event_id        UUID,
    request_id      UUID,
    attempt         UInt8,
    version         UInt32,
    event_time      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    ended_at        DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),

    tenant          LowCardinality(String),
    cost_center     LowCardinality(String),
    team            LowCardinality(String),
    app             LowCardinality(String),
    product         LowCardinality(String),
    subscription    LowCardinality(String),
    key_id          LowCardinality(String),
    subject         String,
    tags            Map(LowCardinality(String), String),

    operation       LowCardinality(String),
    provider        LowCardinality(String),
    backend         LowCardinality(String),
    region          LowCardinality(String),
    model_requested LowCardinality(String),
    model           LowCardinality(String),
    api_format      LowCardinality(String),
    stream          UInt8,
    variant         LowCardinality(String),

    outcome         LowCardinality(String),
    usage_source    LowCardinality(String),
    http_status     UInt16,
    error_code      LowCardinality(String),
    cached_from     Nullable(UUID),
    latency_ms      UInt32,
    ttft_ms         UInt32,
    gateway_us      UInt32,

    line Nested
    (
        class       LowCardinality(String),
        qty         UInt64,
        sku         LowCardinality(String),
        price_id    LowCardinality(String),
        unit_price  Decimal(38, 12),
        cost        Decimal(38, 12)
    ),
    input_tokens    UInt64 CODEC(T64, ZSTD(1)),
    output_tokens   UInt64 CODEC(T64, ZSTD(1)),
    cost            Decimal(38, 12) CODEC(ZSTD(1)),
    currency        LowCardinality(String),
    unpriced        UInt8,

    gateway_id      LowCardinality(String),
    boot_id         UUID,
    seq             UInt64,
    log_partition   UInt16,
    log_offset      UInt64,
    inserted_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),

    INDEX by_inserted_at inserted_at TYPE minmax GRANULARITY 1,
    INDEX by_request_id request_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant, toStartOfHour(event_time), event_id)
TTL toDateTime(event_time) + INTERVAL 25 MONTH
SETTINGS non_replicated_deduplication_window = 10000;

-- Every event once, in its newest version.
CREATE VIEW IF NOT EXISTS v_usage AS SELECT * FROM usage_events FINAL;
