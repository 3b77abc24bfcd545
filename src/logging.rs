//! Log lines: to standard error, as text or JSON. And traces: over OTLP to a collector, if one is named.
//!
//! Spans have a target of their own, [`SPANS`], which log lines leave out and traces are made of. Where no collector is
//! named nobody asks for them, so they cost what a look at a flag costs. That takes a subscriber without a layer for them:
//! to one with a layer that may be there or not every span is of interest.

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

/// A library that tells at length what the command says in a line.
const QUIET: &str = "refinery_core=warn";
/// The target of every span.
const SPANS: &str = "spans";
/// What a collector calls this program.
const SERVICE: &str = "tallow";

/// Traces that are on their way; those that wait are sent when it is dropped.
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.as_ref().map(SdkTracerProvider::shutdown) {
            tracing::warn!(%error, "last traces not sent");
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

/// Takes log lines, and spans where there is somebody to send them to.
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

/// The layer that makes traces of spans.
fn exported<S: Subscriber + for<'a> LookupSpan<'a>>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S> {
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE))
        .with_location(false)
        .with_threads(false)
        .with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO))
}

/// Sends what is traced in batches, from a thread of its own.
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
