//! Log lines on standard error, as text or JSON; and traces, sent over OTLP if a collector is
//! configured.
//!
//! Spans have a target of their own, [`SPANS`]. Log lines exclude it, and traces consist of it.
//! Without a collector no layer is interested in the spans, so a span costs one check of a flag.
//! This holds only if the subscriber has no layer for spans at all: an optional layer is interested
//! in every span.

use crate::config::{LogFormat, LoggingConfig, TracesConfig};
use anyhow::{Context, anyhow};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use std::io::{IsTerminal, stderr};
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The filter of a library that logs at length what the command logs in one line.
const QUIET: &str = "refinery_core=warn";
/// The target of all spans.
const SPANS: &str = "spans";
/// The service name in traces.
const SERVICE: &str = "tallow";

/// The export of traces. Dropping it sends the waiting ones.
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.as_ref().map(SdkTracerProvider::shutdown) {
            tracing::warn!(%error, "last traces were not sent");
        }
    }
}

/// Starts logging and tracing. Called once, after the settings have been checked.
pub(crate) fn start(logging: &LoggingConfig, traces: &TracesConfig) -> anyhow::Result<Traces> {
    let provider = (!traces.otlp_endpoint.is_empty()).then(|| provider(traces)).transpose()?;
    let subscriber = subscriber(logging, provider.as_ref())?;
    subscriber.try_init().map_err(|error| anyhow!("start logging: {error}"))?;
    Ok(Traces(provider))
}

/// Builds the subscriber of log lines, and of spans if there is a `provider`.
fn subscriber(logging: &LoggingConfig, provider: Option<&SdkTracerProvider>) -> anyhow::Result<Dispatch> {
    let filter = EnvFilter::try_new(format!("{QUIET},{},{SPANS}=off", logging.level))
        .with_context(|| format!("read logging.level {:?}", logging.level))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let lines = match logging.format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    Ok(match provider {
        Some(provider) => subscriber.with(exported(provider)).into(),
        None => subscriber.into(),
    })
}

/// Builds the layer that turns spans into traces.
fn exported<S: Subscriber + for<'a> LookupSpan<'a>>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S> {
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_threads(false)
        .with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO))
}

/// Builds the exporter, which sends batches from a thread of its own.
fn provider(traces: &TracesConfig) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&traces.otlp_endpoint)
        .build()
        .with_context(|| format!("send traces to {}", traces.otlp_endpoint))?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(traces.sample_ratio)));
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(Resource::builder().with_service_name(SERVICE).build())
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn makes_spans(provider: Option<&SdkTracerProvider>) -> bool {
        let logging = LoggingConfig { level: "info".to_owned(), format: LogFormat::Text };
        let subscriber = subscriber(&logging, provider).expect("a subscriber");
        tracing::dispatcher::with_default(&subscriber, || {
            !tracing::info_span!(target: SPANS, "request").is_disabled()
        })
    }

    #[test]
    fn spans_are_made_only_where_they_are_sent() {
        assert!(!makes_spans(None));
        assert!(makes_spans(Some(&SdkTracerProvider::builder().build())));
    }
}
