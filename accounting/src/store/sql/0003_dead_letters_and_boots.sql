-- Records that could not be read as an event. The payload is part of the key: when a log starts again at
-- offset 0, its records do not replace those of the log before it.
CREATE TABLE IF NOT EXISTS dead_letters
(
    received_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    topic           LowCardinality(String),
    log_partition   UInt16,
    log_offset      UInt64,
    reason          LowCardinality(String),
    detail          String,
    headers         Map(String, String),
    key             String,
    payload         String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, log_partition, log_offset, cityHash64(payload))
TTL toDateTime(received_at) + INTERVAL 90 DAY;

-- The last sequence number of boots that ended in good order.
CREATE TABLE IF NOT EXISTS boots
(
    gateway_id      LowCardinality(String),
    boot_id         UUID,
    last_seq        UInt64,
    inserted_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(last_seq)
ORDER BY (gateway_id, boot_id);
