//! Rows in CSV or JSON lines, under the same names and with the same digits.

use std::fmt::Display;
use std::io::{self, Write};
use tallow_model::Price;

/// The file format of candles and alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// Every format, the default first.
    pub const ALL: [Format; 2] = [Format::Csv, Format::Jsonl];

    /// Returns the name, which is also the extension of files.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
        }
    }

    /// Returns the format of this name.
    pub fn parse(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// A value of a row.
pub(super) enum Cell<'a> {
    /// Letters, digits and `. _ - :`, which need no escape in either format.
    Name(&'a str),
    Integer(u64),
    /// A float; absent if it is not finite.
    Float(Price),
    /// A value that displays itself as a plain decimal.
    Decimal(&'a dyn Display),
    Absent,
}

/// Writes the rows of a table.
pub(super) struct Table<'w, W> {
    format: Format,
    columns: &'static [&'static str],
    out: &'w mut W,
}

impl<'w, W: Write> Table<'w, W> {
    /// Creates a table with these columns; writes the header, if the format has one.
    ///
    /// # Errors
    /// When `out` fails.
    pub(super) fn new(
        format: Format,
        columns: &'static [&'static str],
        out: &'w mut W,
    ) -> io::Result<Table<'w, W>> {
        if format == Format::Csv {
            writeln!(out, "{}", columns.join(","))?;
        }
        Ok(Table { format, columns, out })
    }

    /// Writes a row with a cell for each column.
    ///
    /// # Errors
    /// When `out` fails.
    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        match self.format {
            Format::Csv => {
                for (i, cell) in cells.iter().enumerate() {
                    if i > 0 {
                        self.out.write_all(b",")?;
                    }
                    self.cell(cell, "", "")?;
                }
                self.out.write_all(b"\n")
            }
            Format::Jsonl => {
                for (i, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
                    write!(self.out, "{}\"{column}\":", if i > 0 { "," } else { "{" })?;
                    self.cell(cell, "\"", "null")?;
                }
                self.out.write_all(b"}\n")
            }
        }
    }

    fn cell(&mut self, cell: &Cell<'_>, quote: &str, absent: &str) -> io::Result<()> {
        match cell {
            Cell::Name(name) => write!(self.out, "{quote}{name}{quote}"),
            Cell::Integer(integer) => write!(self.out, "{integer}"),
            Cell::Float(price) if price.0.is_finite() => write!(self.out, "{price}"),
            Cell::Decimal(decimal) => write!(self.out, "{decimal}"),
            Cell::Float(_) | Cell::Absent => self.out.write_all(absent.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(format, &["a", "b", "c", "d", "e"], &mut out).expect("a header");
        let float = |value| Cell::Float(Price(value));
        for cells in [
            [Cell::Name("BTC:1m"), Cell::Integer(7), float(1e-9), Cell::Decimal(&"0.10"), Cell::Absent],
            [Cell::Name("X"), Cell::Integer(0), float(1e21), float(f64::NAN), float(95_750.0)],
        ] {
            table.row(&cells).expect("a row");
        }
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn both_formats_have_the_same_digits() {
        assert_eq!(
            written(Format::Csv),
            "a,b,c,d,e\nBTC:1m,7,0.000000001,0.10,\nX,0,1000000000000000000000,,95750\n"
        );
        assert_eq!(
            written(Format::Jsonl),
            "{\"a\":\"BTC:1m\",\"b\":7,\"c\":0.000000001,\"d\":0.10,\"e\":null}\n\
             {\"a\":\"X\",\"b\":0,\"c\":1000000000000000000000,\"d\":null,\"e\":95750}\n"
        );
    }

    #[test]
    fn a_format_is_found_by_its_name() {
        assert_eq!(Format::parse("jsonl"), Some(Format::Jsonl));
        assert_eq!(Format::parse("xml"), None);
    }
}
