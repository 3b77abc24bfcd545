//! Figures over a range of candles, in one pass over its rows.

use super::candles::Windows;
use super::pool::Question;
use crate::figures::Figures;
use crate::store::{CandleQuery, CandleStats};
use async_trait::async_trait;
use deadpool_postgres::Transaction;

/// The figures of the candles of a query; none where there are no candles.
pub(super) struct Stats<'a>(pub(super) &'a CandleQuery);

#[async_trait]
impl Question for Stats<'_> {
    type Answer = Option<CandleStats>;
    const ACTION: &'static str = "read candles from";

    async fn ask(&self, database: &Transaction<'_>) -> Result<Self::Answer, tokio_postgres::Error> {
        let mut figures = Figures::default();
        let windows = Windows::of(database, self.0).await?;
        windows.each(database, |row| figures.add(&row)).await?;
        Ok(figures.stats())
    }
}
