//! What can be asked for at a path, and what is answered.

use crate::parameter::Parameter;

/// A part of the document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tag {
    Prices,
    Alerts,
    Process,
    Binance,
    TradingView,
    Live,
    Pages,
}

impl Tag {
    pub(super) const ALL: [(Tag, &'static str, &'static str); 7] = [
        (Tag::Prices, "Prices", "Candles and what is made of them."),
        (Tag::Alerts, "Alerts", "Anomalies: returns far out of those of the hour before."),
        (Tag::Live, "Live", "WebSockets. A page like this one can't try them."),
        (Tag::Process, "Process", "Whether everything works, and its figures."),
        (
            Tag::Binance,
            "Binance",
            "The market data of Binance's REST interface, for programs that speak it already.",
        ),
        (Tag::TradingView, "TradingView", "The data feed (UDF) of TradingView's charts."),
        (Tag::Pages, "Pages", "The pages for a browser, and this document."),
    ];

    pub(super) fn name(self) -> &'static str {
        Tag::ALL.iter().find(|(tag, _, _)| *tag == self).map_or("", |(_, name, _)| name)
    }
}

/// In what shape mistakes are answered, and which can happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Errors {
    /// Problem documents.
    Problems,
    /// Problem documents; neither a key nor a rate holds this request up.
    Probe,
    /// Problem documents; no key holds this request up.
    Page,
    /// Binance's for the caller's mistakes, else problem documents.
    Binance,
    /// TradingView's for the caller's mistakes, else problem documents.
    Udf,
    /// Problem documents; the request opens a WebSocket.
    WebSocket,
    /// Problem documents, until the body has begun.
    Streamed,
}

/// What `GET` does at a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    /// As the router has it.
    pub(super) path: &'static str,
    /// A name for generated clients.
    pub(super) id: &'static str,
    pub(super) tag: Tag,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    /// Those of the query.
    pub(super) parameters: &'static [Parameter],
    /// What `{…}` in the path may be.
    pub(super) place: Option<Parameter>,
    /// Content types of the answer and the names of their schemas.
    pub(super) content: &'static [(&'static str, &'static str)],
    /// Headers of the answer besides those that all have, by their keys in `headers.json`.
    pub(super) headers: &'static [&'static str],
    /// Whether the answer may be kept and asked for again by its tag.
    pub(super) is_storable: bool,
    pub(super) errors: Errors,
}
