//! `tallow migrate`, on a real database where there is one.

use std::process::{Command, Stdio};
use tallow_testing::database::Database;
use tallow_testing::program::{ended, fail, succeed, tallow};
use tallow_testing::services;
use tallow_testing::services::unique;
use tallow_testing::topic::Topic;

fn migrate(url: &str) -> Command {
    let mut command = tallow();
    command.arg("migrate").env("TALLOW__POSTGRES__URL", url);
    command
}

/// A database and topics that nobody else has.
struct PipelineFixture {
    database: Database,
    kafka: String,
    topics: [String; 3],
}

impl PipelineFixture {
    fn new() -> Option<PipelineFixture> {
        let kafka = services::kafka()?;
        let database = Database::create()?;
        let topics = ["prices", "alerts", "dead_letters"].map(unique);
        Some(PipelineFixture { database, kafka, topics })
    }

    fn migrate(&self) -> Command {
        let mut command = migrate(&self.database.url());
        let [prices, alerts, dead_letters] = &self.topics;
        command
            .env("TALLOW__KAFKA__BOOTSTRAP_SERVERS", &self.kafka)
            .env("TALLOW__KAFKA__TOPIC", prices)
            .env("TALLOW__KAFKA__ALERTS_TOPIC", alerts)
            .env("TALLOW__KAFKA__DEAD_LETTERS_TOPIC", dead_letters);
        command
    }
}

impl Drop for PipelineFixture {
    fn drop(&mut self) {
        for (topic, partitions) in self.topics.iter().zip([3, 1, 1]) {
            drop(Topic::adopt(&self.kafka, topic.clone(), partitions));
        }
    }
}

#[test]
fn a_migration_says_what_it_did_and_a_second_one_has_nothing_to_do() {
    let Some(place) = PipelineFixture::new() else { return };
    let first = succeed(&mut place.migrate());
    assert!(first.contains("migration applied") && first.contains("V1__candles_and_alerts"), "{first}");
    assert!(first.contains("schema is up to date") && first.contains("version=2"), "{first}");
    assert_eq!(first.matches("made=true").count(), 3, "{first}");
    let second = succeed(&mut place.migrate());
    assert!(!second.contains("migration applied") && second.contains("schema is up to date"), "{second}");
    assert_eq!(second.matches("made=false").count(), 3, "{second}");
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_name LIKE 'price_%'";
    assert_eq!(place.database.connect().query_one(tables, &[]).expect("counted").get::<_, i64>(0), 4);
}

#[test]
fn a_migration_names_the_symbols_that_are_there_and_leaves_what_an_operator_has_written() {
    let Some(place) = PipelineFixture::new() else { return };
    succeed(&mut place.migrate());
    let mut client = place.database.connect();
    let rows = "INSERT INTO cryptocurrencies (symbol, name, created_at, updated_at)
        VALUES ('BTC', NULL, 'epoch', 'epoch'), ('ETH', 'My ether', 'epoch', 'epoch'), ('MINE', NULL, 'epoch', 'epoch')";
    client.batch_execute(rows).expect("written");
    let said = succeed(place.migrate().env("TALLOW__COINGECKO__COINS", "my-coin:MINE:My coin"));
    assert!(said.contains("names of coins added symbols=3"), "{said}");
    let called = "SELECT STRING_AGG(CONCAT_WS(' ', symbol, name, coingecko_id), ', ' ORDER BY symbol) FROM cryptocurrencies";
    let called: String = client.query_one(called, &[]).expect("read").get(0);
    assert_eq!(called, "BTC Bitcoin bitcoin, ETH My ether ethereum, MINE My coin my-coin");
    assert!(!succeed(&mut place.migrate()).contains("names of coins added"));
}

#[test]
fn two_migrations_at_once_both_succeed() {
    let Some(place) = PipelineFixture::new() else { return };
    let start = || place.migrate().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let applied: usize = [start(), start()]
        .map(|process| {
            let (code, stderr) = ended(&process.wait_with_output().expect("ended"));
            assert_eq!(code, Some(0), "{stderr}");
            stderr.matches("migration applied").count()
        })
        .iter()
        .sum();
    assert_eq!(applied, 2);
}

#[test]
fn what_cannot_be_migrated_is_one_line_without_the_password() {
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let url = format!("postgres://me:hunter2@{nobody}/prices");
    let line = fail(&mut migrate(&url), 1);
    assert!(line.starts_with(&format!("connect to {nobody}/prices: error connecting to server: ")), "{line}");
    let line = fail(&mut migrate("postgres//me:hunter2@host"), 2);
    assert!(line.starts_with("postgres.url is not an address") && !line.contains("hunter2"), "{line}");
    let line = fail(migrate(&url).env("TALLOW__POSTGRES__KEEP_1M_DAYS", "36501"), 2);
    assert_eq!(
        line,
        "read environment variable TALLOW__POSTGRES__KEEP_1M_DAYS: postgres.keep_1m_days: 36501 is above the maximum of 36500"
    );
}
