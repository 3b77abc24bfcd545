//! The parameters of a chart's request.

use super::catalog::{EXCHANGE, RESOLUTIONS, resolutions};
use super::refusal::UdfError;

use crate::api::bars;
use crate::app::Data;
use crate::market;
use crate::parameter::{Literal, Parameter};
use tallow_model::store::Span;
use tallow_model::{EventTime, MAX_EVENT_TIME, Symbol};

/// The parameters of one request; of a parameter that is given twice, the first counts.
pub(super) struct UdfParameters {
    known: &'static [Parameter],
    given: Vec<(String, String)>,
}

/// The symbol of a chart.
pub(super) const SYMBOL: Parameter = Parameter::text(
    "symbol",
    "^([Tt][Aa][Ll][Ll][Oo][Ww]:)?[A-Za-z0-9._-]{1,23}$",
    "A symbol in any case; `TALLOW:` before it and `USD` behind it may be there.",
)
.required()
.like(Literal::Text("BTC"));

/// The parameter for the length of the bars.
pub(super) const RESOLUTION: Parameter = Parameter::choice(
    "resolution",
    &["1", "5", "15", "60", "240", "1D", "D"],
    "The length of the bars, in minutes or a day.",
)
.required();

/// The left edge of a range.
pub(super) const FROM: Parameter =
    Parameter::seconds("from", "The start of the range, in seconds since 1970.")
        .like(Literal::Number(1_763_251_200));

/// The right edge of a range.
pub(super) const TO: Parameter = Parameter::seconds("to", "The end of the range, in seconds since 1970.")
    .required()
    .like(Literal::Number(4_102_444_800));

impl UdfParameters {
    /// Reads the query of a URI, of which the `known` parameters are understood.
    pub(super) fn parse(raw: Option<&str>, known: &'static [Parameter]) -> UdfParameters {
        let given = form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect();
        UdfParameters { known, given }
    }

    /// Returns the text of a parameter; `None` if it is missing or empty. Debug builds panic at a
    /// parameter that is not declared.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(self.known.iter().any(|known| known.name == name), "{name} is read and not declared");
        let value = self.given.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    fn mandatory(&self, name: &str) -> Result<&str, UdfError> {
        self.text(name).ok_or_else(|| UdfError::Parameter(format!("{name} is missing")))
    }

    /// Reads a number without a sign.
    pub(super) fn integer(&self, name: &str) -> Result<Option<u64>, UdfError> {
        let refusal = |text| UdfError::Parameter(format!("{name} is {text:?} and has to be a whole number"));
        self.text(name).map(|text| text.parse().map_err(|_| refusal(text))).transpose()
    }

    /// Reads a time in epoch seconds, if it is there. Charts go left of 1970 if they do not know
    /// how far back the data goes; such a time counts as 1970.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<EventTime>, UdfError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let seconds: i64 = text
            .parse()
            .map_err(|_| UdfError::Parameter(format!("{name} is {text:?} and has to be epoch seconds")))?;
        let millis = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
        Ok(Some(EventTime(millis).min(MAX_EVENT_TIME)))
    }

    /// Reads a time that must be there.
    pub(super) fn time(&self, name: &str) -> Result<EventTime, UdfError> {
        self.mandatory(name)?;
        self.seconds(name)?.ok_or_else(|| UdfError::Parameter(format!("{name} is missing")))
    }

    /// Reads the span of the resolution.
    pub(super) fn resolution(&self) -> Result<Span, UdfError> {
        let text = self.mandatory("resolution")?;
        // A chart may leave out the number of a single day.
        let name = if text == "D" { "1D" } else { text };
        let found = RESOLUTIONS.iter().find(|(known, _)| *known == name);
        found.map(|(_, minutes)| bars::span(*minutes)).ok_or_else(|| {
            let allowed = resolutions().join(", ");
            UdfError::Parameter(format!("resolution is {text:?} and has to be one of {allowed}"))
        })
    }

    /// Reads the symbol; one of the stores must have it.
    pub(super) async fn symbol(&self, data: &Data) -> Result<Symbol, UdfError> {
        let text = self.mandatory("symbol")?;
        let name = match text.split_once(':') {
            Some((exchange, name)) if exchange.eq_ignore_ascii_case(EXCHANGE) => name,
            Some(_) => return Err(UdfError::UnknownSymbol),
            None => text,
        };
        for symbol in [Symbol::parse(name.as_bytes()).ok(), market::symbol(name)].into_iter().flatten() {
            if data.knows(symbol).await? {
                return Ok(symbol);
            }
        }
        Err(UdfError::UnknownSymbol)
    }
}
