-- Times are milliseconds since the Unix epoch, of the log and never of the clock.

CREATE TABLE cryptocurrencies (
    id           INTEGER PRIMARY KEY,
    symbol       TEXT    NOT NULL UNIQUE,
    name         TEXT,
    coingecko_id TEXT,
    is_active    INTEGER NOT NULL DEFAULT 1,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE price_aggregates_1m (
    crypto_id    INTEGER NOT NULL REFERENCES cryptocurrencies (id),
    window_start INTEGER NOT NULL,
    window_end   INTEGER NOT NULL,
    open_price   REAL    NOT NULL,
    high_price   REAL    NOT NULL,
    low_price    REAL    NOT NULL,
    close_price  REAL    NOT NULL,
    avg_price    REAL    NOT NULL,
    vwap         REAL,
    volume_sum   REAL    NOT NULL,
    quote_volume REAL    NOT NULL,
    trade_count  INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (crypto_id, window_start)
) STRICT, WITHOUT ROWID;

CREATE TABLE price_aggregates_5m (
    crypto_id    INTEGER NOT NULL REFERENCES cryptocurrencies (id),
    window_start INTEGER NOT NULL,
    window_end   INTEGER NOT NULL,
    open_price   REAL    NOT NULL,
    high_price   REAL    NOT NULL,
    low_price    REAL    NOT NULL,
    close_price  REAL    NOT NULL,
    avg_price    REAL    NOT NULL,
    vwap         REAL,
    volume_sum   REAL    NOT NULL,
    quote_volume REAL    NOT NULL,
    trade_count  INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (crypto_id, window_start)
) STRICT, WITHOUT ROWID;

CREATE TABLE price_aggregates_15m (
    crypto_id    INTEGER NOT NULL REFERENCES cryptocurrencies (id),
    window_start INTEGER NOT NULL,
    window_end   INTEGER NOT NULL,
    open_price   REAL    NOT NULL,
    high_price   REAL    NOT NULL,
    low_price    REAL    NOT NULL,
    close_price  REAL    NOT NULL,
    avg_price    REAL    NOT NULL,
    vwap         REAL,
    volume_sum   REAL    NOT NULL,
    quote_volume REAL    NOT NULL,
    trade_count  INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (crypto_id, window_start)
) STRICT, WITHOUT ROWID;

CREATE TABLE price_alerts (
    alert_id         TEXT    NOT NULL PRIMARY KEY,
    crypto_id        INTEGER NOT NULL REFERENCES cryptocurrencies (id),
    alert_type       TEXT    NOT NULL,
    severity         TEXT    NOT NULL,
    price_change_pct REAL    NOT NULL,
    old_price        REAL    NOT NULL,
    new_price        REAL    NOT NULL,
    z_score          REAL    NOT NULL,
    mean             REAL    NOT NULL,
    stddev           REAL    NOT NULL,
    samples          INTEGER NOT NULL,
    threshold        REAL    NOT NULL,
    window_start     INTEGER NOT NULL,
    window_end       INTEGER NOT NULL,
    revision         INTEGER NOT NULL,
    status           TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    -- The logical time of this version: what orders the versions of an alert.
    settled_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX price_alerts_newest ON price_alerts (window_end DESC, alert_id);
CREATE INDEX price_alerts_newest_of_symbol ON price_alerts (crypto_id, window_end DESC, alert_id);

-- One row once something is known: every change with a logical time below stored_through is in this file.
CREATE TABLE progress (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    stored_through INTEGER NOT NULL
) STRICT;

-- The newest dead letters; id grows in the order of their arrival.
CREATE TABLE rejects (
    id        INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    "offset"  INTEGER NOT NULL,
    reason    TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    -- The bytes as they were read, of a long record the beginning.
    raw       BLOB    NOT NULL,
    -- How many bytes the record has.
    raw_len   INTEGER NOT NULL,
    UNIQUE (partition, "offset")
) STRICT;
