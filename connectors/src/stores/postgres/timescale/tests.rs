//! The statements for given settings, and reading a state: stand-ins for TimescaleDB's views are
//! enough.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;
use crate::stores::postgres::migrate;
use tallow_testing::database::Database;

const FRESH: TableState = TableState {
    is_hypertable: false,
    is_compressible: false,
    compress_after_seconds: None,
    drop_after_seconds: None,
};
const SETTLED: TableState = TableState {
    is_hypertable: true,
    is_compressible: true,
    compress_after_seconds: Some(7 * DAY_SECONDS),
    drop_after_seconds: Some(90 * DAY_SECONDS),
};

fn config(compress_after_days: u32, keep_1m_days: u32) -> PostgresConfig {
    PostgresConfig { compress_after_days, keep_1m_days, ..PostgresConfig::default() }
}

/// Returns the statements for the one-minute table, each on one line.
fn made(state: TableState, policies: bool, config: &PostgresConfig) -> Vec<String> {
    let statements = statements(Interval::OneMinute, state, policies, config);
    statements.iter().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

const CONVERT: &str = "SELECT create_hypertable('price_aggregates_1m', by_range('window_start', INTERVAL '7 days'), \
    create_default_indexes => FALSE, if_not_exists => TRUE, migrate_data => TRUE)";
const COMPRESS: &str = "ALTER TABLE price_aggregates_1m SET (timescaledb.compress, \
    timescaledb.compress_segmentby = 'crypto_id', timescaledb.compress_orderby = 'window_start')";

#[test]
fn a_plain_table_is_converted_with_its_rows_and_gets_its_policies() {
    assert_eq!(
        made(FRESH, true, &config(7, 90)),
        [
            CONVERT,
            COMPRESS,
            "SELECT add_compression_policy('price_aggregates_1m', compress_after => INTERVAL '7 days', \
                if_not_exists => TRUE)",
            "SELECT add_retention_policy('price_aggregates_1m', drop_after => INTERVAL '90 days', \
                if_not_exists => TRUE)",
        ]
    );
}

#[test]
fn what_is_as_the_settings_say_is_left_alone() {
    assert!(made(SETTLED, true, &config(7, 90)).is_empty());
    let unlimited = TableState { compress_after_seconds: None, drop_after_seconds: None, ..SETTLED };
    assert!(made(unlimited, true, &config(0, 0)).is_empty());
}

#[test]
fn a_changed_setting_replaces_its_policy_and_zero_removes_it() {
    assert_eq!(
        made(SETTLED, true, &config(8, 0)),
        [
            "SELECT remove_compression_policy('price_aggregates_1m', if_exists => TRUE)",
            "SELECT add_compression_policy('price_aggregates_1m', compress_after => INTERVAL '8 days', \
                if_not_exists => TRUE)",
            "SELECT remove_retention_policy('price_aggregates_1m', if_exists => TRUE)",
        ]
    );
}

#[test]
fn without_the_licence_for_policies_there_are_hypertables_only() {
    assert_eq!(made(FRESH, false, &config(7, 90)), [CONVERT]);
}

#[test]
fn each_table_is_kept_as_long_as_its_own_setting_says() {
    let keep =
        PostgresConfig { keep_1m_days: 1, keep_5m_days: 5, keep_15m_days: 15, ..PostgresConfig::default() };
    for (interval, days) in Interval::ALL.into_iter().zip([1, 5, 15]) {
        let made = statements(interval, FRESH, true, &keep);
        let last = format!(
            "SELECT add_retention_policy('price_aggregates_{interval}', drop_after => INTERVAL '{days} days', \
            if_not_exists => TRUE)"
        );
        assert_eq!(made.last(), Some(&last));
    }
}

/// The columns of TimescaleDB's views that are read, filled by stand-ins for its functions.
const STAND_INS: &str = "CREATE SCHEMA timescaledb_information;
    CREATE TABLE timescaledb_information.hypertables (
        hypertable_schema NAME, hypertable_name NAME, compression_enabled BOOLEAN);
    CREATE TABLE timescaledb_information.jobs (
        hypertable_schema NAME, hypertable_name NAME, proc_name NAME, config JSONB);
    CREATE FUNCTION by_range(NAME, INTERVAL) RETURNS TEXT LANGUAGE SQL RETURN $1;
    CREATE FUNCTION create_hypertable(REGCLASS, TEXT, create_default_indexes BOOLEAN, if_not_exists BOOLEAN,
            migrate_data BOOLEAN) RETURNS VOID LANGUAGE SQL AS
        $$INSERT INTO timescaledb_information.hypertables VALUES (CURRENT_SCHEMA, $1::TEXT, TRUE)$$;
    CREATE FUNCTION add_compression_policy(REGCLASS, compress_after INTERVAL, if_not_exists BOOLEAN)
            RETURNS VOID LANGUAGE SQL AS
        $$INSERT INTO timescaledb_information.jobs VALUES
            (CURRENT_SCHEMA, $1::TEXT, 'policy_compression', JSONB_BUILD_OBJECT('compress_after', $2))$$;
    CREATE FUNCTION add_retention_policy(REGCLASS, drop_after INTERVAL, if_not_exists BOOLEAN)
            RETURNS VOID LANGUAGE SQL AS
        $$INSERT INTO timescaledb_information.jobs VALUES
            (CURRENT_SCHEMA, $1::TEXT, 'policy_retention', JSONB_BUILD_OBJECT('drop_after', $2))$$;
    CREATE FUNCTION remove_compression_policy(REGCLASS, if_exists BOOLEAN) RETURNS VOID LANGUAGE SQL AS
        $$DELETE FROM timescaledb_information.jobs
        WHERE hypertable_name = $1::TEXT AND proc_name = 'policy_compression'$$;
    CREATE FUNCTION remove_retention_policy(REGCLASS, if_exists BOOLEAN) RETURNS VOID LANGUAGE SQL AS
        $$DELETE FROM timescaledb_information.jobs
        WHERE hypertable_name = $1::TEXT AND proc_name = 'policy_retention'$$";

#[test]
fn what_was_made_is_read_back_and_a_second_run_makes_nothing() {
    let Some(database) = Database::create() else { return };
    migrate(&PostgresConfig { url: database.url().into(), ..PostgresConfig::default() }).unwrap();
    let mut client = database.connect();
    if client.query_one(PRESENCE, &[]).unwrap().get(0) {
        // The real extension is present; tests/postgres/timescale.rs uses it.
        return;
    }
    client.batch_execute(STAND_INS).unwrap();
    let mut run = |config: &PostgresConfig| {
        let mut made = 0;
        for interval in Interval::ALL {
            let state = read(&mut client, interval).unwrap();
            for statement in statements(interval, state, true, config) {
                // Only the extension's own grammar has this statement.
                if !statement.starts_with("ALTER TABLE") {
                    client.batch_execute(&statement).unwrap();
                    made += 1;
                }
            }
        }
        made
    };
    // Three tables, three compression policies, one retention policy.
    for (config, made) in [(config(7, 90), 7), (config(7, 90), 0), (config(8, 90), 6), (config(0, 0), 4)] {
        assert_eq!((run(&config), run(&config)), (made, 0), "{config:?}");
    }
}
