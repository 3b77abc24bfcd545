//! Faults outside: a server that restarts or is gone, locks of other sessions, wrong addresses.

use super::{Database, candle, config, migrated, step, symbol};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tallow_connectors::stores::postgres::{PostgresConfig, PostgresHistory, PostgresSink, Share, migrate};
use tallow_model::Interval;
use tallow_model::error::{Action, chain};
use tallow_model::retry::BackoffSettings;
use tallow_model::store::{CandleQuery, History, Sink};
use tallow_runtime::sinks::{SinkQueue, SinkRunner, SinkSettings};
use tallow_testing::wait::LIMIT as PATIENCE;
use tokio::runtime::Runtime;

/// A server of the test's own, which can be stopped.
struct Server {
    folder: tempfile::TempDir,
    url: String,
}

impl Server {
    /// Starts a server, or returns `None` after saying that the test is skipped.
    fn start() -> Option<Server> {
        use std::os::unix::fs::PermissionsExt;
        tallow_testing::services::postgres()?;
        let folder = tempfile::tempdir().unwrap();
        // The server may run as another user than the test.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        run(folder.path(), "up");
        let environment = run(folder.path(), "env");
        let url = environment.lines().find_map(|line| line.strip_prefix("export TALLOW__POSTGRES__URL="));
        Some(Server { url: url.unwrap().to_owned(), folder })
    }

    fn run(&self, command: &str) {
        run(self.folder.path(), command);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run("down");
    }
}

/// Runs `scripts/services` and returns its output.
fn run(folder: &Path, command: &str) -> String {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
    let ran = Command::new(script)
        .args([command, "postgres"])
        .env("TALLOW_SERVICES", folder)
        .env("TALLOW_NO_DOCKER", "1")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// One step a write, and short waits.
fn settings() -> SinkSettings {
    let backoff = BackoffSettings { first: Duration::from_millis(5), longest: Duration::from_millis(50) };
    SinkSettings { batch_changes: 1, backoff, ..SinkSettings::default() }
}

fn await_problem(queue: &SinkQueue, words: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !queue.status().problem.is_some_and(|problem| problem.contains(words)) {
        assert!(Instant::now() < deadline, "no {words:?} in {:?}", queue.status());
        std::thread::yield_now();
    }
}

async fn closes(history: &PostgresHistory, name: &str) -> Vec<f64> {
    let query = CandleQuery::all(symbol(name), Interval::OneMinute);
    history.candles(&query).await.unwrap().rows.iter().map(|row| row.close_price).collect()
}

#[test]
fn a_server_that_restarts_costs_no_row_and_no_request() {
    const MINUTES: u64 = 60;
    let Some(server) = Server::start() else { return };
    let config = config(&server.url);
    migrate(&config).unwrap();
    let sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    let runner = SinkRunner::start(Box::new(sink), settings()).unwrap();
    let queue = runner.queue();
    let runtime = Runtime::new().unwrap();
    let history = PostgresHistory::open(&config).unwrap();
    let minute = |minute: u64| step(0, vec![candle("BTC", minute, minute as f64 + 1.0)]);
    let mut expected = Vec::new();
    for part in [0..MINUTES, MINUTES..2 * MINUTES, 2 * MINUTES..3 * MINUTES] {
        for number in part.clone() {
            queue.try_send(minute(number)).unwrap();
            expected.push(number as f64 + 1.0);
            if number == part.start + MINUTES / 2 {
                server.run("restart");
            }
        }
        queue.wait_stored(PATIENCE).unwrap();
        // The connection that was kept from the time before the restart is of no use any more.
        assert_eq!(runtime.block_on(closes(&history, "BTC")), expected);
    }
    assert!(queue.status().retries > 0, "{:?}", queue.status());

    server.run("down");
    queue.try_send(minute(3 * MINUTES)).unwrap();
    await_problem(&queue, "error connecting to server");
    let gone = runtime.block_on(history.ping()).unwrap_err();
    assert_eq!(gone.action(), Action::Retry);
    server.run("up");
    queue.wait_stored(PATIENCE).unwrap();
    runtime.block_on(history.ping()).unwrap();
    assert_eq!(runtime.block_on(closes(&history, "BTC")).len() as u64, 3 * MINUTES + 1);
    runner.close(PATIENCE).unwrap();
}

#[test]
fn a_connection_that_was_ended_fails_no_request() {
    let Some((database, config)) = migrated() else { return };
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    sink.write(&[step(0, vec![candle("BTC", 1, 7.0)])]).unwrap();
    let runtime = Runtime::new().unwrap();
    let history = PostgresHistory::open(&config).unwrap();
    let mut client = database.connect();
    for _ in 0..3 {
        let asking = async { tokio::join!(closes(&history, "BTC"), closes(&history, "BTC"), history.ping()) };
        let (once, twice, ping) = runtime.block_on(asking);
        assert_eq!((once, twice), (vec![7.0], vec![7.0]));
        ping.unwrap();
        let end = "SELECT PG_TERMINATE_BACKEND(pid, 10000) FROM pg_stat_activity
            WHERE datname = CURRENT_DATABASE() AND pid <> PG_BACKEND_PID()";
        assert!(!client.query(end, &[]).unwrap().is_empty());
    }
    // The sink's connection has been ended too. It says so once, and is back.
    let lost = sink.write(&[step(0, vec![candle("BTC", 2, 8.0)])]).unwrap_err();
    assert_eq!(lost.action(), Action::Retry, "{}", chain(&lost));
    sink.write(&[step(0, vec![candle("BTC", 2, 8.0)])]).unwrap();
    assert_eq!(runtime.block_on(closes(&history, "BTC")), [7.0, 8.0]);
}

#[test]
fn a_row_that_another_program_has_locked_is_waited_for() {
    let Some((database, config)) = migrated() else { return };
    let runner = {
        let sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
        SinkRunner::start(Box::new(sink), settings()).unwrap()
    };
    let queue = runner.queue();
    queue.try_send(step(0, vec![candle("BTC", 1, 7.0)])).unwrap();
    queue.wait_stored(PATIENCE).unwrap();

    let mut other = database.connect();
    let mut lock = other.transaction().unwrap();
    lock.execute("SELECT FROM price_aggregates_1m FOR UPDATE", &[]).unwrap();
    let mut corrected = candle("BTC", 1, 9.0);
    corrected.candle.count = 2;
    queue.try_send(step(0, vec![corrected])).unwrap();
    await_problem(&queue, "canceling statement due to lock timeout");
    // Readers do not wait.
    let runtime = Runtime::new().unwrap();
    let history = PostgresHistory::open(&config).unwrap();
    assert_eq!(runtime.block_on(closes(&history, "BTC")), [7.0]);

    lock.rollback().unwrap();
    queue.wait_stored(PATIENCE).unwrap();
    assert_eq!(runtime.block_on(closes(&history, "BTC")), [9.0]);
    runner.close(PATIENCE).unwrap();
}

/// The errors of a migration, a sink and a history for an address, which must have one action.
fn refused(config: &PostgresConfig) -> (Action, String) {
    let history = || {
        let history = PostgresHistory::open(config)?;
        Runtime::new().unwrap().block_on(history.ping())
    };
    let errors = [
        migrate(config).unwrap_err(),
        PostgresSink::open(config, Share::whole(1)).unwrap_err(),
        history().unwrap_err(),
    ];
    let [migration, sink, history] = errors.map(|error| (error.action(), chain(&error)));
    assert_eq!(migration, sink);
    assert_eq!(sink, history);
    assert!(!sink.1.contains("hunter2") && !format!("{config:?}").contains("hunter2"), "{sink:?}");
    sink
}

#[test]
fn a_wrong_address_is_named_without_its_password() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (action, text) = refused(&config(&format!("postgres://me:hunter2@127.0.0.1:{free}/prices")));
    assert_eq!(action, Action::Retry);
    let expected =
        format!("connect to 127.0.0.1:{free}/prices: error connecting to server: Connection refused");
    assert!(text.starts_with(&expected), "{text}");

    let (action, text) = refused(&config("postgres://me:hunter2@no-such-host.invalid/prices"));
    assert_eq!(action, Action::Retry);
    assert!(text.starts_with("connect to no-such-host.invalid:5432/prices: "), "{text}");

    let (action, text) = refused(&config("postgres//me:hunter2@host"));
    assert_eq!(action, Action::Stop);
    assert!(text.starts_with("postgres.url is not an address of the form "), "{text}");
}

#[test]
fn a_database_that_is_not_there_and_a_wrong_password_stop_the_sink() {
    let Some(database) = Database::create() else { return };
    let url = database.url().replace(database.name(), "no_such_database");
    let (action, text) = refused(&config(&url));
    assert_eq!(action, Action::Stop);
    assert!(text.ends_with("database \"no_such_database\" does not exist"), "{text}");

    // The server takes every password, so the role itself is what is wrong.
    let role = tallow_testing::services::unique("role");
    let (_, server) = url.rsplit_once('@').unwrap();
    let (action, text) = refused(&config(&format!("postgres://{role}:hunter2@{server}")));
    assert_eq!(action, Action::Stop);
    assert!(text.ends_with(&format!("role \"{role}\" does not exist")), "{text}");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_longer_than_the_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let config = config(&format!("postgres://me@{address}/prices"));
    let ping = || {
        let history = PostgresHistory::open(&config).unwrap();
        Runtime::new().unwrap().block_on(history.ping()).unwrap_err()
    };
    let (ping, migration, sink) = std::thread::scope(|scope| {
        let ping = scope.spawn(ping);
        let migration = scope.spawn(|| migrate(&config).unwrap_err());
        let sink = PostgresSink::open(&config, Share::whole(1)).unwrap_err();
        (ping.join().unwrap(), migration.join().unwrap(), sink)
    });
    for (error, text) in [
        (ping, format!("read {address}/prices: no answer within 2s")),
        (migration, format!("connect to {address}/prices: no answer within 10s")),
        (sink, format!("connect to {address}/prices: no answer within 10s")),
    ] {
        assert_eq!((error.action(), chain(&error)), (Action::Retry, text));
    }
}

#[test]
fn a_question_that_nobody_waits_for_any_more_is_stopped_in_the_database() {
    let Some((database, config)) = migrated() else { return };
    let (mut locking, mut watching) = (database.connect(), database.connect());
    let mut lock = locking.transaction().unwrap();
    lock.batch_execute("LOCK TABLE price_aggregates_1m IN ACCESS EXCLUSIVE MODE").unwrap();
    // No limit of the database's own shall end it.
    let options = "options=-c%20lock_timeout%3D0%20-c%20statement_timeout%3D0";
    let url = format!("{}?{options}", database.url()).into();
    let history = PostgresHistory::open(&PostgresConfig { url, pool_size: 1, ..config }).unwrap();
    let mut until_waiting = |expected: i64| {
        let deadline = Instant::now() + PATIENCE;
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity
            WHERE datname = CURRENT_DATABASE() AND wait_event_type = 'Lock'";
        while watching.query_one(waiting, &[]).unwrap().get::<_, i64>(0) != expected {
            assert!(Instant::now() < deadline, "not {expected} questions wait");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    };
    let runtime = Runtime::new().unwrap();
    for _ in 0..2 {
        let history = history.clone();
        let asked = runtime.spawn(async move { closes(&history, "BTC").await });
        until_waiting(1);
        asked.abort();
        until_waiting(0);
    }
    drop(lock);
    assert_eq!(runtime.block_on(closes(&history, "BTC")), [0.0; 0]);
}
