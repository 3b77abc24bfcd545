//! Alerts: the version that stands, and finding them.

use super::write;
use crate::fixtures::StoreFixture;
use crate::samples::{HOUR, MIDNIGHT, MINUTE, alert, settled_alert, step, symbol};
use tallow_model::rows::AlertRow;
use tallow_model::store::{AlertQuery, History};
use tallow_model::{AlertStatus, EventTime, SettledAlert, Severity, Step};

const EVERY: AlertQuery = AlertQuery {
    symbol: None,
    since: None,
    until: None,
    severity: None,
    include_retracted: true,
    limit: usize::MAX,
};

async fn read(history: &dyn History, query: &AlertQuery) -> Vec<AlertRow> {
    history.alerts(query).await.unwrap()
}

fn step_of(alerts: Vec<SettledAlert>) -> Step {
    step(vec![], alerts)
}

pub async fn an_alert_raised_retracted_and_raised_again_is_one_row_as_it_stands<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let history = fixture.history();
    let raised = settled_alert(alert("BTC", MIDNIGHT, 6.4), AlertStatus::Raised, 0);
    let retracted = settled_alert(raised.alert, AlertStatus::Retracted, 5_000);
    let mut again = settled_alert(alert("BTC", MIDNIGHT, -9.5), AlertStatus::Raised, 9_000);
    again.alert.revision = 2;

    let standing = AlertQuery { include_retracted: false, ..EVERY };
    for (version, stands) in [(raised, true), (retracted, false), (again, true)] {
        write(&mut *sink, &[step_of(vec![version])]);
        assert_eq!(read(&*history, &EVERY).await, [AlertRow::from(&version)]);
        assert_eq!(read(&*history, &standing).await.len(), usize::from(stands));
    }
    // All of it again, and all of it in one step of an empty store.
    write(&mut *sink, &[step_of(vec![raised, retracted]), step_of(vec![again])]);
    assert_eq!(read(&*history, &EVERY).await, [AlertRow::from(&again)]);
    let other = B::fresh();
    write(&mut *other.sink(1), &[step_of(vec![raised, retracted, again])]);
    assert_eq!(read(&*other.history(), &EVERY).await, [AlertRow::from(&again)]);
}

pub async fn an_older_version_of_an_alert_does_not_come_back<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let raised = settled_alert(alert("BTC", MIDNIGHT, 6.4), AlertStatus::Raised, 0);
    let retracted = settled_alert(raised.alert, AlertStatus::Retracted, 5_000);
    for version in [retracted, raised] {
        write(&mut *sink, &[step_of(vec![version])]);
    }
    assert_eq!(read(&*fixture.history(), &EVERY).await, [AlertRow::from(&retracted)]);
}

pub async fn alerts_are_found_by_every_parameter<B: StoreFixture>() {
    let fixture = B::fresh();
    let mut sink = fixture.sink(1);
    let history = fixture.history();
    assert_eq!(read(&*history, &EVERY).await, []);
    let scores = [4.5, -4.2, 6.0, 7.9, -8.0, 12.0];
    let mut alerts = Vec::new();
    for (number, z_score) in (0..).zip(scores.into_iter().cycle().take(60)) {
        let name = ["BTC", "ETH", "SOL"][number as usize % 3];
        // Two and two in the same window.
        let window_start = MIDNIGHT + number / 2 * HOUR;
        let status = if number % 7 == 0 { AlertStatus::Retracted } else { AlertStatus::Raised };
        alerts.push(settled_alert(alert(name, window_start, z_score), status, number));
    }
    write(&mut *sink, &[step_of(alerts.clone())]);

    let mut rows: Vec<AlertRow> = alerts.iter().map(AlertRow::from).collect();
    rows.sort_by(|a, b| b.window_end.cmp(&a.window_end).then_with(|| a.alert_id.cmp(&b.alert_id)));
    let names = [None, Some("BTC"), Some("SOL"), Some("NONE")].map(|name| name.map(symbol));
    let end = EventTime(MIDNIGHT + 12 * HOUR + MINUTE);
    let times = [None, Some(EventTime(0)), Some(end), Some(EventTime(end.0 + 1)), Some(EventTime(u64::MAX))];
    let severities = [None, Some(Severity::Low), Some(Severity::Medium), Some(Severity::High)];
    for symbol in names {
        for since in times {
            for severity in severities {
                for include_retracted in [false, true] {
                    for limit in [0, 1, 7, usize::MAX] {
                        let until = None;
                        let query = AlertQuery { symbol, since, until, severity, include_retracted, limit };
                        let expected: Vec<&AlertRow> = rows
                            .iter()
                            .filter(|row| symbol.is_none_or(|symbol| row.symbol == symbol))
                            .filter(|row| since.is_none_or(|since| row.window_end >= since))
                            .filter(|row| severity.is_none_or(|severity| row.severity == severity))
                            .filter(|row| include_retracted || row.status == AlertStatus::Raised)
                            .take(limit)
                            .collect();
                        let found = read(&*history, &query).await;
                        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
                    }
                }
            }
        }
    }
    for until in times {
        for since in times {
            let query = AlertQuery { since, until, ..EVERY };
            let within = |row: &&AlertRow| {
                since.is_none_or(|since| row.window_end >= since)
                    && until.is_none_or(|until| row.window_end < until)
            };
            let expected: Vec<&AlertRow> = rows.iter().filter(within).collect();
            let found = read(&*history, &query).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
        }
    }
}
