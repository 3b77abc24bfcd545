//! Services that go away while ticks flow, with services of the test's own.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tallow_testing::pipeline::{OPENS, PipelineFixture};
use tallow_testing::process::Tallow;
use tallow_testing::services;
use tallow_testing::wait::until;

/// The time for which Redis is away.
const REDIS_AWAY: Duration = Duration::from_secs(60);

/// PostgreSQL, Redis and Kafka of the test's own, stopped when dropped.
struct Services {
    folder: tempfile::TempDir,
}

impl Services {
    fn start() -> Services {
        let services = Services { folder: tempfile::tempdir().unwrap() };
        services.script(&["up"]);
        services
    }

    /// `up` or `down` and a name; both wait until it is so.
    fn script(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services"));
        script
            .args(arguments)
            .env("TALLOW_SERVICES", self.folder.path())
            .env("TALLOW_NO_DOCKER", "1")
            .stdin(Stdio::null());
        script
    }

    fn place(&self) -> PipelineFixture {
        let exports = self.script(&["env"]);
        let settings: BTreeMap<&str, &str> =
            exports.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('=')).collect();
        let of = |name: &str| settings[name];
        PipelineFixture::on(
            of("TALLOW__KAFKA__BOOTSTRAP_SERVERS"),
            of("TALLOW__POSTGRES__URL"),
            of("TALLOW__REDIS__URL"),
        )
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).output();
    }
}

/// The status of a service in `/health`.
fn health(server: &Tallow, service: &str) -> String {
    let health = server.json("/health");
    health["services"][service].as_str().unwrap_or_else(|| panic!("no {service} in {health}")).to_owned()
}

fn becomes(server: &Tallow, service: &str, state: &str) {
    until(&format!("{service} {state}"), || health(server, service).starts_with(state).then_some(()));
}

/// Whether a line stands in `/metrics`.
fn measures(server: &Tallow, line: &str) -> bool {
    let (status, text) = server.get("/metrics");
    assert_eq!(status, 200);
    text.lines().any(|it| it == line)
}

#[test]
fn outages_of_every_service_lose_nothing_and_repeat_nothing() {
    // Where the services are, they can be started.
    if services::kafka().is_none() {
        return;
    }
    let own = Services::start();
    let place = own.place();
    place.migrate();
    let mut run = place.run(&["-w", "2"]);
    let mut serve = place.serve(&run);
    let flags = ["--speed", "60", "--rate", "3", "--disorder", "--start", OPENS, "--duration", "120m"];
    let mut produce = place.produce(&flags);
    let records = |server: &Tallow| server.json("/api/v1/stats")["records_in"].as_u64().unwrap();
    until("records", || (records(&run) > 1_000).then_some(()));
    // Without a stored candle the server could not answer from PostgreSQL.
    until("a stored candle", || (serve.get("/api/v1/historical/BTC?limit=1").0 == 200).then_some(()));

    // Redis: the pipeline goes on, and the server answers from PostgreSQL.
    own.script(&["down", "redis"]);
    let gone = Instant::now();
    becomes(&serve, "redis", "unhealthy");
    becomes(&run, "redis", "unhealthy");
    assert!(measures(&run, r#"tallow_sink_up{sink="redis"} 0.0"#));
    let (before, settled) = (records(&run), settled(&run));
    until("an answer from PostgreSQL", || {
        (serve.header("/api/v1/latest/BTC", "x-data-source").as_deref() == Some("postgres")).then_some(())
    });
    until("the minute without Redis to be over", || (gone.elapsed() >= REDIS_AWAY).then_some(()));
    assert!(records(&run) > before + 1_000 && self::settled(&run) > settled, "the pipeline has stood still");
    own.script(&["up", "redis"]);
    becomes(&serve, "redis", "healthy");
    becomes(&run, "redis", "healthy");
    until("an answer from Redis", || {
        (serve.header("/api/v1/latest/BTC", "x-data-source").as_deref() == Some("redis")).then_some(())
    });

    // PostgreSQL: what has settled waits for it.
    own.script(&["down", "postgres"]);
    becomes(&run, "postgres", "unhealthy");
    becomes(&serve, "postgres", "unhealthy");
    assert!(measures(&run, r#"tallow_sink_up{sink="postgres"} 0.0"#));
    own.script(&["up", "postgres"]);
    becomes(&run, "postgres", "healthy");
    becomes(&serve, "postgres", "healthy");

    // Kafka: nothing comes, and that does not pass for a quiet market.
    own.script(&["down", "kafka"]);
    becomes(&run, "kafka", "unhealthy");
    produce.says("Kafka is unreachable");
    own.script(&["up", "kafka"]);
    becomes(&run, "kafka", "healthy");
    let before = records(&run);
    until("records after the outage", || (records(&run) > before).then_some(()));

    produce.still_runs();
    let said = produce.stop_by_itself();
    assert!(said.contains(" failed=0"), "{said}");
    let expected = place.backtest();
    place.agrees(&expected);
    becomes(&serve, "pipeline", "healthy");
    assert_eq!(serve.json("/health")["status"], "healthy");
    once_each(&place, expected.path());

    run.still_runs();
    serve.still_runs();
    serve.stop();
    let said = run.stop();
    for line in ["sink can't write, trying again", "sink writes again"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("ERROR"), "{said}");
}

/// The number of candles that have settled.
fn settled(run: &Tallow) -> u64 {
    run.json("/api/v1/stats")["candles_settled"]["1m"].as_u64().unwrap()
}

/// Every version of an alert was sent once, and the last one of each is as the backtest has it.
fn once_each(place: &PipelineFixture, expected: &Path) {
    let sent = place.alerts().read();
    let mut standing: BTreeMap<String, String> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for record in sent {
        let payload = record.payload.unwrap();
        let alert: Value = serde_json::from_slice(&payload).unwrap();
        let id = alert["alert_id"].as_str().unwrap().to_owned();
        assert!(seen.insert(payload), "{id} was sent twice");
        standing.insert(id, alert["status"].as_str().unwrap().to_owned());
    }
    let alerts = std::fs::read_to_string(expected.join("alerts.csv")).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        (fields[0].to_owned(), (*fields.last().unwrap()).to_owned())
    };
    let expected: BTreeMap<String, String> = alerts.lines().skip(1).map(row).collect();
    assert!(!expected.is_empty());
    assert_eq!(standing, expected);
}
