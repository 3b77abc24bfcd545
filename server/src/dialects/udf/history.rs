//! `/udf/history`: the bars from `from`, included, up to `to`, not included.
//!
//! With `countback` the response has that many of the newest bars before `to`, however far back
//! they lie, and `from` is ignored. The last bar may still be open, if the resolution is a settled
//! interval (1, 5, 15). If the range has no bar and there are older bars, `nextTime` is the newest
//! of them; at the left edge there is no `nextTime`.

use super::parameters::{FROM, RESOLUTION, SYMBOL, TO, UdfParameters};
use super::refusal::UdfError;
use crate::api::bars::{self, Bar};
use crate::app::Data;
use crate::http::response::{self, Response};
use crate::parameter::Parameter;
use hyper::StatusCode;
use serde_json::{Value, json};
use tallow_model::store::CandleQuery;

/// The most bars of a response: a week of minutes. Of more bars, the newest are returned.
const MAX_BARS: u64 = 7 * 24 * 60;

/// The parameters of the route.
pub(crate) const PARAMETERS: [Parameter; 5] = [
    SYMBOL,
    RESOLUTION,
    FROM.about("The start of the range, included, in seconds since 1970; needed without `countback`."),
    TO.about("The end of the range, excluded, in seconds since 1970; after `from`."),
    Parameter::integer(
        "countback",
        0,
        u64::MAX,
        "The number of bars before `to`, whatever `from` is; 0 counts as missing.",
    ),
];

/// Returns the bars of a range.
pub(super) async fn bars(data: &Data, raw: Option<&str>) -> Result<Response, UdfError> {
    let parameters = UdfParameters::parse(raw, &PARAMETERS);
    let span = parameters.resolution()?;
    let to = parameters.time("to")?;
    let countback = parameters.integer("countback")?.filter(|countback| *countback > 0);
    let from = match countback {
        Some(_) => None,
        None => Some(parameters.time("from")?),
    };
    if from.is_some_and(|from| from >= to) {
        return Err(UdfError::Parameter("from has to be before to".to_owned()));
    }
    let query = CandleQuery {
        from,
        until: Some(to),
        limit: countback.unwrap_or(MAX_BARS).min(MAX_BARS) as usize,
        ..CandleQuery::newest(parameters.symbol(data).await?, span)
    };
    let bars = bars::bars(data, &query).await?;
    let document = match from {
        _ if !bars.is_empty() => table(&bars),
        None => json!({ "s": "no_data" }),
        Some(from) => {
            let older = CandleQuery { from: None, until: Some(from), limit: 1, ..query };
            match bars::bars(data, &older).await?.first() {
                Some(bar) => json!({ "s": "no_data", "nextTime": seconds(bar) }),
                None => json!({ "s": "no_data" }),
            }
        }
    };
    Ok(response::json(StatusCode::OK, &document)?)
}

fn seconds(bar: &Bar) -> u64 {
    bar.start.millis() / 1000
}

/// Returns the bars as columns.
fn table(bars: &[Bar]) -> Value {
    let column = |value: fn(&Bar) -> f64| bars.iter().map(value).collect::<Vec<f64>>();
    json!({
        "s": "ok",
        "t": bars.iter().map(seconds).collect::<Vec<u64>>(),
        "o": column(|bar| bar.open),
        "h": column(|bar| bar.high),
        "l": column(|bar| bar.low),
        "c": column(|bar| bar.close),
        "v": column(|bar| bar.volume),
    })
}
