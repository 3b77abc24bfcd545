//! The names under which charts find markets here: the exchange, the type of every symbol, and the
//! resolutions.

/// The exchange that symbols are listed under.
pub(super) const EXCHANGE: &str = "TALLOW";
/// The type of every symbol.
pub(super) const TYPE: &str = "crypto";

/// The names of the intervals on a chart, and their minutes.
pub(super) const RESOLUTIONS: [(&str, u64); 6] =
    [("1", 1), ("5", 5), ("15", 15), ("60", 60), ("240", 240), ("1D", 1440)];

/// Returns the names of the resolutions.
pub(super) fn resolutions() -> Vec<&'static str> {
    RESOLUTIONS.iter().map(|(name, _)| *name).collect()
}
