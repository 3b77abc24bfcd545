//! Migrations: once, twice, two at once; and databases that are not as they must be.

use super::{Database, config, migrated};
use tallow_connectors::stores::postgres::{PostgresHistory, PostgresSink, Share, Timescale, migrate};
use tallow_model::error::{Action, chain};
use tallow_model::store::History;

const NAMES: [&str; 2] = ["V1__candles_and_alerts", "V2__rejects_of_logs_made_anew"];

/// Every column, index and constraint of the tables, as text.
fn shape(database: &Database) -> Vec<String> {
    let shape = "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
            FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT conrelid::REGCLASS || ' ' || PG_GET_CONSTRAINTDEF(oid) FROM pg_constraint
            WHERE connamespace = 'public'::REGNAMESPACE
        ORDER BY 1";
    database.connect().query(shape, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn a_migration_makes_the_tables_and_a_second_one_changes_nothing() {
    let Some(database) = Database::create() else { return };
    let config = config(&database.url());
    let report = migrate(&config).unwrap();
    assert_eq!((report.applied, report.version), (NAMES.map(str::to_owned).to_vec(), 2));
    assert!(report.database.ends_with(database.name()));
    let made = shape(&database);
    assert!(made.iter().any(|line| line == "price_aggregates_15m.open_price numeric NO"), "{made:?}");

    let again = migrate(&config).unwrap();
    assert_eq!((again.applied, again.version), (vec![], 2));
    assert_eq!(shape(&database), made);
}

#[test]
fn without_the_extension_nothing_of_it_runs() {
    let Some((database, config)) = migrated() else { return };
    let mut client = database.connect();
    let there = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')";
    if client.query_one(there, &[]).unwrap().get(0) {
        assert!(matches!(migrate(&config).unwrap().timescale, Timescale::Used { changes: 0, .. }));
        return;
    }
    let everything = tallow_connectors::stores::postgres::PostgresConfig {
        compress_after_days: 1,
        keep_1m_days: 2,
        keep_5m_days: 3,
        keep_15m_days: 4,
        ..config
    };
    assert_eq!(migrate(&everything).unwrap().timescale, Timescale::Absent);
}

#[test]
fn the_tables_of_candles_can_become_hypertables() {
    let Some((database, _)) = migrated() else { return };
    let unique_without_time = "SELECT indexdef FROM pg_indexes
        WHERE tablename LIKE 'price_aggregates%' AND indexdef LIKE '%UNIQUE%' AND indexdef NOT LIKE '%window_start%'";
    assert!(database.connect().query(unique_without_time, &[]).unwrap().is_empty());
}

#[test]
fn of_two_migrations_at_once_one_makes_the_tables() {
    let Some(database) = Database::create() else { return };
    let config = config(&database.url());
    let applied = std::thread::scope(|scope| {
        let migrations: Vec<_> =
            (0..4).map(|_| scope.spawn(|| migrate(&config).unwrap().applied.len())).collect();
        migrations.into_iter().map(|migration| migration.join().unwrap()).sum::<usize>()
    });
    assert_eq!(applied, NAMES.len());
}

/// The errors of a sink and a history for a database that they refuse.
fn refusals(database: &Database) -> [String; 2] {
    let config = config(&database.url());
    let sink = PostgresSink::open(&config, Share::whole(1)).unwrap_err();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let history = runtime.block_on(async {
        let history = PostgresHistory::open(&config).unwrap();
        history.ping().await.unwrap_err()
    });
    [sink, history].map(|error| {
        assert_eq!(error.action(), Action::Stop);
        let text = chain(&error);
        let (before, after) = text.split_once(" has ").unwrap();
        assert!(before.starts_with("database ") && before.ends_with(database.name()), "{text}");
        after.to_owned()
    })
}

#[test]
fn a_database_that_has_not_been_migrated_is_refused_with_what_to_do() {
    let Some(database) = Database::create() else { return };
    for refusal in refusals(&database) {
        assert_eq!(refusal, "not been migrated: run tallow migrate");
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let Some((database, config)) = migrated() else { return };
    let newer = "INSERT INTO tallow_schema_history VALUES (7, 'of_tomorrow', '2030-01-01T00:00:00Z', '1')";
    database.connect().execute(newer, &[]).unwrap();
    let before = shape(&database);
    let expected = "schema version 7, this program knows versions up to 2";
    for refusal in refusals(&database) {
        assert_eq!(refusal, expected);
    }
    assert!(chain(&migrate(&config).unwrap_err()).ends_with(expected));
    assert_eq!(shape(&database), before);
}

#[test]
fn a_migration_that_fails_is_undone_and_says_why() {
    let Some(database) = Database::create() else { return };
    // A table of another program with this name.
    database.connect().batch_execute("CREATE TABLE price_alerts (day TEXT)").unwrap();
    let before = shape(&database);
    let error = migrate(&config(&database.url())).unwrap_err();
    let text = chain(&error);
    assert!(text.ends_with(": db error: ERROR: relation \"price_alerts\" already exists"), "{text}");
    assert!(text.starts_with("migrate ") && text.matches("already exists").count() == 1, "{text}");
    let left: Vec<String> =
        shape(&database).into_iter().filter(|line| !line.contains("tallow_schema_history")).collect();
    assert_eq!(left, before);
}
