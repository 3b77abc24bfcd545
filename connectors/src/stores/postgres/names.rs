//! Values that are stored as their names on the wire.

use std::error::Error;
use tallow_model::{AlertStatus, AlertType, Severity, Symbol};
use tokio_postgres::types::{FromSql, Type, accepts};

/// A value that is stored as its name on the wire.
pub(super) struct NameText<T>(pub(super) T);

type ConversionError = Box<dyn Error + Sync + Send>;

fn named<T: Copy>(
    raw: &[u8],
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<NameText<T>, ConversionError> {
    let text = std::str::from_utf8(raw)?;
    let found = all.iter().copied().find(|it| name(*it) == text);
    found.map(NameText).ok_or_else(|| format!("unknown value {text:?}").into())
}

impl<'a> FromSql<'a> for NameText<AlertType> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, ConversionError> {
        named(raw, &[AlertType::PriceSpike, AlertType::PriceDrop], AlertType::name)
    }

    accepts!(TEXT);
}

impl<'a> FromSql<'a> for NameText<Severity> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, ConversionError> {
        named(raw, &[Severity::Low, Severity::Medium, Severity::High], Severity::name)
    }

    accepts!(TEXT);
}

impl<'a> FromSql<'a> for NameText<AlertStatus> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, ConversionError> {
        named(raw, &[AlertStatus::Raised, AlertStatus::Retracted], AlertStatus::name)
    }

    accepts!(TEXT);
}

impl<'a> FromSql<'a> for NameText<Symbol> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, ConversionError> {
        Ok(NameText(Symbol::parse(raw)?))
    }

    accepts!(TEXT);
}
