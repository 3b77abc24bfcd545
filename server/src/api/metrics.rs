//! `/metrics`: the figures of the running pipeline for Prometheus, under the names of
//! `docs/api-contract.md`.

use crate::app::App;
use crate::http::problem::Problem;
use crate::http::response::{Response, with_body};
use crate::http::timings::{Outcome, Timings};
use crate::query::Query;
use crate::websocket::ClientStats;
use hyper::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt::Error;
use std::time::{Duration, Instant};
use tallow_model::distribution::Distribution;
use tallow_model::store::PipelineStatus;
use tallow_model::{EventTime, Interval, Severity};

/// The content type of OpenMetrics.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The pipeline's figures at one moment.
#[derive(Debug)]
struct Snapshot {
    status: PipelineStatus,
    now: EventTime,
    uptime: Duration,
    clients: ClientStats,
    requests: BTreeMap<Outcome, Distribution>,
}

/// Returns the figures that the pipeline and the server have at this moment.
pub(crate) fn pipeline(
    app: &App,
    timings: &Timings,
    clients: ClientStats,
    started: Instant,
    query: Option<&str>,
) -> Result<Response, Problem> {
    Query::none(query)?;
    let mut registry = Registry::default();
    let (status, requests) = (app.pipeline.status(), timings.so_far());
    let uptime = started.elapsed();
    let snapshot = Snapshot { status, now: app.now(), uptime, clients, requests };
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    text::encode(&mut text, &registry).map_err(|_| Problem::internal())?;
    Ok(with_body(StatusCode::OK, CONTENT_TYPE, text))
}

/// The values of one metric and the name of its label.
struct Family<'a>(MetricEncoder<'a>, &'static str);

impl Family<'_> {
    fn counter(&mut self, label: &str, value: u64) -> Result<(), Error> {
        let labels = [(self.1, label)];
        ConstCounter::new(value).encode(self.0.encode_family(&labels)?)
    }

    fn gauge(&mut self, label: &str, value: f64) -> Result<(), Error> {
        let labels = [(self.1, label)];
        ConstGauge::new(value).encode(self.0.encode_family(&labels)?)
    }
}

/// Writes the buckets of a histogram.
fn write_histogram(mut encoder: MetricEncoder<'_>, values: &Distribution) -> Result<(), Error> {
    let buckets: Vec<(f64, u64)> = values.buckets().collect();
    encoder.encode_histogram::<NoLabelSet>(values.sum(), values.count(), &buckets, None)
}

/// Writes metrics one after the other.
struct Metrics<'a>(DescriptorEncoder<'a>);

impl Metrics<'_> {
    fn counter<'s>(
        &'s mut self,
        name: &'s str,
        help: &'s str,
        label: &'static str,
    ) -> Result<Family<'s>, Error> {
        Ok(Family(self.0.encode_descriptor(name, help, None, MetricType::Counter)?, label))
    }

    fn gauge<'s>(
        &'s mut self,
        name: &'s str,
        help: &'s str,
        label: &'static str,
    ) -> Result<Family<'s>, Error> {
        Ok(Family(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?, label))
    }

    fn total(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }

    fn single(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        ConstGauge::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut metrics = Metrics(encoder);
        let age = |time: EventTime| self.now.millis().saturating_sub(time.millis()) as f64 / 1000.0;
        metrics.single(
            "tallow_uptime_seconds",
            "Since when this process serves",
            self.uptime.as_secs_f64(),
        )?;
        let ready = f64::from(u8::from(self.status.ready));
        metrics.single("tallow_ready", "1 once the answers are of the present", ready)?;
        if let Some(watermark) = self.status.watermark {
            let help = "Event time below which everything is settled, in seconds since the epoch";
            metrics.single("tallow_watermark_timestamp_seconds", help, watermark.millis() as f64 / 1000.0)?;
        }
        self.partitions(&mut metrics, age)?;
        let mut records =
            metrics.counter("tallow_records", "Records read, by the bucket they ended in", "bucket")?;
        for (bucket, count) in self.status.counts.buckets() {
            records.counter(bucket, count)?;
        }
        let mut settled =
            metrics.counter("tallow_candles_settled", "Candles settled for the first time", "interval")?;
        for (interval, count) in Interval::ALL.iter().zip(self.status.candles_settled) {
            settled.counter(interval.name(), count)?;
        }
        let mut corrections =
            metrics.counter("tallow_corrections", "Corrections of settled candles", "interval")?;
        for (interval, count) in Interval::ALL.iter().zip(self.status.corrections) {
            corrections.counter(interval.name(), count)?;
        }
        let mut alerts = metrics.counter("tallow_alerts", "Alerts raised", "severity")?;
        for (severity, count) in Severity::ALL.iter().zip(self.status.alerts_raised) {
            alerts.counter(severity.name(), count)?;
        }
        if let Some(close_seconds) = &self.status.close_seconds {
            let help = "How long after the end of its window a candle was settled for the first time, since the log was \
                        caught up with";
            let name = "tallow_window_close_delay_seconds";
            let encoder = metrics.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
            write_histogram(encoder, close_seconds)?;
        }
        self.requests(&mut metrics)?;
        self.clients(&mut metrics)?;
        self.checkpoint(&mut metrics)?;
        self.sinks(&mut metrics)
    }
}

impl Snapshot {
    fn requests(&self, metrics: &mut Metrics<'_>) -> Result<(), Error> {
        let (name, help) = ("tallow_http_request_duration_seconds", "How long requests took to be answered");
        let mut encoder = metrics.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for ((route, code), seconds) in &self.requests {
            let code = code.to_string();
            let labels = [("route", *route), ("code", &*code)];
            write_histogram(encoder.encode_family(&labels)?, seconds)?;
        }
        Ok(())
    }

    fn clients(&self, metrics: &mut Metrics<'_>) -> Result<(), Error> {
        let ClientStats { clients, conflated, evicted } = self.clients;
        metrics.single("tallow_ws_clients", "WebSocket clients that are connected", clients as f64)?;
        let help =
            "Open candles that were replaced by newer ones before a slow WebSocket client was sent them";
        metrics.total("tallow_ws_conflated", help, conflated)?;
        let help = "WebSocket clients that were closed because they took in too little";
        metrics.total("tallow_ws_evicted", help, evicted)
    }

    fn checkpoint(&self, metrics: &mut Metrics<'_>) -> Result<(), Error> {
        let Some(checkpoint) = &self.status.checkpoint else { return Ok(()) };
        let seconds = |time: EventTime| time.millis() as f64 / 1_000.0;
        if let Some(stored_at) = checkpoint.stored_at {
            let help = "When the newest checkpoint was stored, in seconds since the epoch";
            metrics.single("tallow_checkpoint_last_success_timestamp_seconds", help, seconds(stored_at))?;
            let help = "How long the newest checkpoint took to store, waits for the sinks included";
            metrics.single("tallow_checkpoint_duration_seconds", help, checkpoint.duration_seconds)?;
            let help = "The size of the newest checkpoint";
            metrics.single("tallow_checkpoint_bytes", help, checkpoint.bytes as f64)?;
        }
        if let Some(restore_seconds) = checkpoint.restore_seconds {
            let help = "How long it took to take up a checkpoint at the start";
            metrics.single("tallow_restore_duration_seconds", help, restore_seconds)?;
        }
        Ok(())
    }

    fn partitions(&self, metrics: &mut Metrics<'_>, age: impl Fn(EventTime) -> f64) -> Result<(), Error> {
        let partitions = &self.status.partitions;
        let name = |number: u32| number.to_string();
        let mut records =
            metrics.counter("tallow_records_in", "Records read from the partition", "partition")?;
        for it in partitions {
            records.counter(&name(it.progress.partition), it.progress.counts.records_in)?;
        }
        let help = "Now minus the newest event time of the partition";
        let mut lag = metrics.gauge("tallow_watermark_lag_seconds", help, "partition")?;
        for it in partitions {
            if let Some(newest) = it.progress.max_event_time {
                lag.gauge(&name(it.progress.partition), age(newest))?;
            }
        }
        let help = "Since when no record has been read from the partition";
        let mut silent = metrics.gauge("tallow_source_idle_seconds", help, "partition")?;
        for it in partitions {
            if let Some(seconds) = it.silent_seconds {
                silent.gauge(&name(it.progress.partition), seconds)?;
            }
        }
        let help = "1 while the partition is read to its end and silent";
        let mut idle = metrics.gauge("tallow_partition_idle", help, "partition")?;
        for it in partitions {
            idle.gauge(&name(it.progress.partition), f64::from(u8::from(it.progress.idle)))?;
        }
        let help = "Records written to the partition and not yet read";
        let mut pending = metrics.gauge("tallow_pending_records", help, "partition")?;
        for it in partitions {
            if let Some(records) = it.pending {
                pending.gauge(&name(it.progress.partition), records as f64)?;
            }
        }
        Ok(())
    }

    fn sinks(&self, metrics: &mut Metrics<'_>) -> Result<(), Error> {
        let sinks = &self.status.sinks;
        let mut up = metrics.gauge("tallow_sink_up", "1 while the sink or the log works", "sink")?;
        for sink in sinks {
            up.gauge(&sink.name, f64::from(u8::from(sink.problem.is_none())))?;
        }
        let mut queue = metrics.gauge("tallow_sink_queue", "What waits to be written", "sink")?;
        for sink in sinks {
            queue.gauge(&sink.name, sink.queue as f64)?;
        }
        let mut retries =
            metrics.counter("tallow_sink_retries", "Writes that had to be tried again", "sink")?;
        for sink in sinks {
            retries.counter(&sink.name, sink.retries)?;
        }
        let help = "How long a batch took to be stored, waits for the sink included";
        let mut encoder =
            metrics.0.encode_descriptor("tallow_sink_write_seconds", help, None, MetricType::Histogram)?;
        for sink in sinks {
            if let Some(seconds) = &sink.write_seconds {
                let labels = [("sink", &*sink.name)];
                write_histogram(encoder.encode_family(&labels)?, seconds)?;
            }
        }
        Ok(())
    }
}
