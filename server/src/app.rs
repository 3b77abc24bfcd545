//! The data that the server serves: stores and pipeline, behind their traits, and the settings.
//!
//! A process without stores serves the figures of its pipeline and nothing else.

use crate::http::tls::Tls;
use crate::settings::ServerSettings;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tallow_model::Error;
use tallow_model::clock::SystemClock;
use tallow_model::error::chain;
use tallow_model::store::{Cache, History, Pipeline};
use tallow_model::{Clock, EventTime, Symbol};

/// The stores, the pipeline, the settings and the clock of a server.
pub struct App {
    /// The stores; `None` if only the pipeline is served.
    pub(crate) data: Option<Arc<Data>>,
    /// The figures of the running dataflow.
    pub(crate) pipeline: Arc<dyn Pipeline>,
    pub(crate) settings: ServerSettings,
    /// The certificate for HTTPS; `None` for plain HTTP.
    pub(crate) tls: Option<Tls>,
    /// The time in which the pipeline still corrects a closed candle; `None` if the server does not
    /// know it.
    pub(crate) allowed_lateness_ms: Option<u64>,
    /// The clock of timestamps, ages and lookbacks.
    pub(crate) clock: Arc<dyn Clock>,
}

/// The data of the routes about candles, alerts and symbols.
pub(crate) struct Data {
    /// The newest candles and the stream of updates. The cache must store an update before it
    /// publishes it.
    pub(crate) cache: Arc<dyn Cache>,
    /// Closed candles and alerts.
    pub(crate) history: Arc<dyn History>,
    pub(crate) pipeline: Arc<dyn Pipeline>,
    /// The age of the newest event of a symbol from which its price is stale.
    stale_after: Duration,
    clock: Arc<dyn Clock>,
}

impl App {
    /// Returns an app on the system's clock.
    pub fn new(
        cache: Arc<dyn Cache>,
        history: Arc<dyn History>,
        pipeline: Arc<dyn Pipeline>,
        settings: ServerSettings,
    ) -> App {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stale_after = settings.stale_after;
        let data = Data { cache, history, pipeline: pipeline.clone(), stale_after, clock: clock.clone() };
        App { data: Some(Arc::new(data)), pipeline, settings, tls: None, allowed_lateness_ms: None, clock }
    }

    /// Creates an app on the system's clock that serves `/health`, `/ready`, `/metrics` and
    /// `/api/v1/stats` only.
    pub fn of_pipeline(pipeline: Arc<dyn Pipeline>, settings: ServerSettings) -> App {
        App {
            data: None,
            pipeline,
            settings,
            tls: None,
            allowed_lateness_ms: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets the certificate; with one, the server speaks HTTPS.
    pub fn with_tls(self, tls: Option<Tls>) -> App {
        App { tls, ..self }
    }

    /// Sets the time in which the pipeline still corrects a closed candle, for clients that ask for
    /// it.
    pub fn with_allowed_lateness_ms(self, allowed_lateness_ms: u64) -> App {
        App { allowed_lateness_ms: Some(allowed_lateness_ms), ..self }
    }

    /// Sets the clock.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> App {
        let data = self.data.map(|data| {
            let Data { cache, history, pipeline, stale_after, .. } = &*data;
            let (cache, history, pipeline) = (cache.clone(), history.clone(), pipeline.clone());
            Arc::new(Data { cache, history, pipeline, stale_after: *stale_after, clock: clock.clone() })
        });
        App { data, clock, ..self }
    }

    pub(crate) fn now(&self) -> EventTime {
        EventTime(self.clock.now_ms())
    }
}

impl Data {
    pub(crate) fn now(&self) -> EventTime {
        EventTime(self.clock.now_ms())
    }

    /// Returns the age of an event time, in milliseconds; 0 for a time in the future.
    pub(crate) fn age_ms(&self, newest: EventTime) -> u64 {
        self.now().millis().saturating_sub(newest.millis())
    }

    /// Whether an event time is older than a price may be.
    pub(crate) fn is_stale(&self, newest: EventTime) -> bool {
        u128::from(self.age_ms(newest)) > self.stale_after.as_millis()
    }

    /// Returns every symbol that one of the stores has. Fails only if neither store can be read.
    pub(crate) async fn symbols(&self) -> Result<BTreeSet<Symbol>, Error> {
        let settled = self.history.symbols().await;
        match (settled, self.cache.latest_all().await) {
            (Ok(settled), Ok(cached)) => {
                Ok(settled.into_iter().chain(cached.iter().map(|candle| candle.symbol)).collect())
            }
            (Ok(settled), Err(error)) => {
                tracing::warn!(store = self.cache.name(), error = chain(&error), "symbols not read");
                Ok(settled.into_iter().collect())
            }
            (Err(error), Ok(cached)) => {
                tracing::warn!(store = self.history.name(), error = chain(&error), "symbols not read");
                Ok(cached.iter().map(|candle| candle.symbol).collect())
            }
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// Whether one of the stores has the symbol. Fails only if neither has it and one can't be
    /// read.
    pub(crate) async fn knows(&self, symbol: Symbol) -> Result<bool, Error> {
        match self.cache.latest(symbol).await {
            Ok(Some(_)) => Ok(true),
            Ok(None) => Ok(self.history.symbols().await?.contains(&symbol)),
            Err(error) => match self.history.symbols().await {
                Ok(symbols) if symbols.contains(&symbol) => Ok(true),
                _ => Err(error),
            },
        }
    }
}
