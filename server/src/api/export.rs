//! `/api/v1/historical/{symbol}/export`: the closed candles of a range of any length, in one file.
//!
//! The handler reads one page after the other from the store, each after the last window of the
//! page before, at the pace of the client. So the memory is that of a page, and a slow client holds
//! no transaction and no connection of the store. Candles that settle or are corrected meanwhile
//! neither move a window from page to page nor appear twice; a window shows its state when its page
//! was read. If the store fails to return a page, the body breaks off.

use crate::api::historical::{
    END_TIME, INTERVAL, ORDER_BY as PAGE_ORDER_BY, ORDERS, SPANS, START_TIME, csv, range,
};
use crate::api::history::no_candles;
use crate::app::Data;
use crate::http::per_address::{Address, AddressLimit, AddressPermit};
use crate::http::problem::Problem;
use crate::http::response::{self, Broken, Chunks, Response, set_header};
use crate::parameter::{Literal, Parameter, names};
use crate::query::Query;
use crate::settings::ServerSettings;
use bytes::Bytes;
use futures_util::stream::try_unfold;
use hyper::header::{CONTENT_DISPOSITION, RETRY_AFTER};
use std::sync::Arc;
use std::time::Duration;
use tallow_model::Error;
use tallow_model::error::chain;
use tallow_model::rows::CandleRow;
use tallow_model::store::CandleQuery;
use tallow_model::{EventTime, Symbol};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The candles of a page: some 170 kB of CSV.
const PAGE: usize = 1000;

/// The seconds after which a client may retry while too many exports are under way.
const RETRY_SECONDS: u64 = 5;

/// The order as pages have it, with another default: a file is read from its beginning.
const ORDER_BY: Parameter = PAGE_ORDER_BY.or(Literal::Text("asc"));
const FORMATS: [(&str, ExportFormat); 2] = [("csv", ExportFormat::Csv), ("jsonl", ExportFormat::Jsonl)];
const FORMAT_NAMES: [&str; 2] = names(&FORMATS);
const FORMAT: Parameter = Parameter::choice(
    "format",
    &FORMAT_NAMES,
    "The format of the file: a table under the names of its columns, or one object a line.",
)
.or(Literal::Text("csv"));

/// The parameters of an export.
pub(crate) const PARAMETERS: [Parameter; 5] = [INTERVAL, START_TIME, END_TIME, ORDER_BY, FORMAT];

#[derive(Clone, Copy)]
enum ExportFormat {
    Csv,
    Jsonl,
}

/// The limits of exports in progress: of all addresses together, and of each.
pub(crate) struct Exports {
    max_exports: usize,
    permits: Arc<Semaphore>,
    max_per_address: usize,
    per_address: Arc<AddressLimit>,
}

impl Exports {
    /// Returns the limits of the settings, without exports.
    pub(crate) fn new(settings: &ServerSettings) -> Exports {
        let ServerSettings { max_exports, max_exports_per_address, .. } = *settings;
        let permits = if max_exports == 0 { Semaphore::MAX_PERMITS } else { max_exports };
        Exports {
            max_exports,
            permits: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            max_per_address: max_exports_per_address,
            per_address: AddressLimit::new(max_exports_per_address),
        }
    }

    /// Takes a permit of each limit.
    fn take(&self, address: Address) -> Result<(OwnedSemaphorePermit, AddressPermit), Problem> {
        let busy = |most: usize, of_whom: &str| {
            let detail = format!("{most} exports{of_whom} are under way, the most there may be");
            Problem::unavailable(detail).with(RETRY_AFTER, RETRY_SECONDS)
        };
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| busy(self.max_exports, ""))?;
        let address_permit = self.per_address.take(address);
        let address_permit = address_permit.ok_or_else(|| busy(self.max_per_address, " of this address"))?;
        Ok((permit, address_permit))
    }
}

/// The candles of a query, page by page.
struct Pages {
    data: Arc<Data>,
    query: CandleQuery,
    /// Whether the last page has been read.
    is_over: bool,
    /// Held as long as the export runs.
    _permits: (OwnedSemaphorePermit, AddressPermit),
}

/// Returns the file; its body is made at the pace of the client.
pub(crate) async fn export(
    exports: &Exports,
    settings: &ServerSettings,
    data: &Arc<Data>,
    address: Address,
    symbol: Symbol,
    raw: Option<&str>,
) -> Result<Response, Problem> {
    let mut query = Query::parse(raw, &PARAMETERS);
    let direction = query.chosen(&ORDER_BY, &ORDERS);
    let format = query.chosen(&FORMAT, &FORMATS);
    let candles = CandleQuery { direction, limit: PAGE, ..range(data, symbol, &mut query) };
    query.finish()?;

    let name = file_name(&candles, format);
    let mut pages =
        Pages { data: data.clone(), query: candles, is_over: false, _permits: exports.take(address)? };
    // The first page is read before there is a response, so that an empty range and a failing store
    // are ordinary problems.
    let first = pages.next().await?;
    if first.is_empty() {
        return Err(no_candles(data, symbol).await);
    }
    let limit = settings.request_timeout;
    let mut response = response::streamed(format.content_type(), chunks(pages, first, format, limit));
    set_header(&mut response, CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""));
    Ok(response)
}

/// Returns the body: a chunk for each page, the first of which has been read.
fn chunks(pages: Pages, first: Vec<CandleRow>, format: ExportFormat, limit: Duration) -> Chunks {
    Box::pin(try_unfold((pages, Some(first)), move |(mut pages, first)| async move {
        let is_first = first.is_some();
        let rows = match first {
            Some(rows) => rows,
            None => tokio::time::timeout(limit, pages.next())
                .await
                .map_err(|_| Broken::of(format!("no page of candles within {} s", limit.as_secs_f64())))?
                .map_err(|error| Broken::of(chain(&error)))?,
        };
        if rows.is_empty() {
            return Ok(None);
        }
        let chunk = format.write(&rows, is_first).map_err(|_| Broken::of("candles not written"))?;
        Ok(Some((Bytes::from(chunk), (pages, None))))
    }))
}

impl Pages {
    /// Reads the next page; an empty page is the end.
    async fn next(&mut self) -> Result<Vec<CandleRow>, Error> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let rows = self.data.history.candles(&self.query).await?.rows;
        self.is_over = rows.len() < self.query.limit;
        self.query.after = rows.last().map(|row| row.window_start);
        Ok(rows)
    }
}

impl ExportFormat {
    fn name(self) -> &'static str {
        match self {
            ExportFormat::Csv => "csv",
            ExportFormat::Jsonl => "jsonl",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            ExportFormat::Csv => "text/csv; charset=utf-8",
            ExportFormat::Jsonl => "application/jsonl",
        }
    }

    /// Writes the rows. Only the first rows of a file have the names of the columns above them.
    fn write(self, rows: &[CandleRow], is_first: bool) -> Result<Vec<u8>, Problem> {
        match self {
            ExportFormat::Csv => csv(rows, is_first),
            ExportFormat::Jsonl => {
                let mut lines = Vec::new();
                for row in rows {
                    serde_json::to_writer(&mut lines, row)?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
        }
    }
}

/// Returns a name such as `BTC-1m-20251116T0530Z-20251116T0930Z.csv`, with the bounds of the query,
/// the end exclusive.
fn file_name(query: &CandleQuery, format: ExportFormat) -> String {
    // A window starts on a whole minute.
    let compact = |time: EventTime| time.rfc3339().replace(['-', ':', ' '], "").replacen("00Z", "Z", 1);
    let interval = SPANS.iter().find(|(_, span)| *span == query.span).map_or("", |(name, _)| name);
    let range = match (query.from, query.until) {
        (None, None) => String::new(),
        (Some(from), None) => format!("-from-{}", compact(from)),
        (None, Some(until)) => format!("-until-{}", compact(until)),
        (Some(from), Some(until)) => format!("-{}-{}", compact(from), compact(until)),
    };
    format!("{}-{interval}{range}.{}", query.symbol, format.name())
}
