//! An operation: the request at a path, and its responses.

use crate::parameter::Parameter;

/// A chapter of the document.
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
        (Tag::Prices, "Prices", "Candles, and figures made of them."),
        (Tag::Alerts, "Alerts", "Anomalies: returns far outside the returns of the hour before."),
        (Tag::Live, "Live", "WebSockets. They can't be tried on this page."),
        (Tag::Process, "Process", "The health and the figures of the process."),
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

/// The shape of error responses, and which errors can happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Errors {
    /// Problem documents, all of them.
    Problems,
    /// Problem documents; the request needs no key and is not limited by rate.
    Probe,
    /// Problem documents; the request needs no key.
    Page,
    /// The shape of Binance for mistakes of the caller, else problem documents.
    Binance,
    /// The shape of TradingView for mistakes of the caller, else problem documents.
    Udf,
    /// Problem documents; the request opens a WebSocket.
    WebSocket,
    /// Problem documents, until the body has begun.
    Streamed,
}

/// The operation of `GET` at a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    /// The path as `routes` has it.
    pub(super) path: &'static str,
    /// Name for generated clients.
    pub(super) id: &'static str,
    pub(super) tag: Tag,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    /// The parameters in the query.
    pub(super) parameters: &'static [Parameter],
    /// The parameter in the path.
    pub(super) place: Option<Parameter>,
    /// The content types of the response and the names of their schemas.
    pub(super) content: &'static [(&'static str, &'static str)],
    /// The headers that not every response has, by their keys in `headers.json`.
    pub(super) headers: &'static [&'static str],
    /// Whether a client may store the response and revalidate it by its tag.
    pub(super) is_storable: bool,
    pub(super) errors: Errors,
}
