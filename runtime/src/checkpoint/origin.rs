//! The source and the rules that a checkpoint belongs to.

use tallow_dataflow::Settings;

/// The origin of a checkpoint. A pipeline does not resume from a checkpoint of another log, or one
/// taken under other rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The source of the records, as `kafka:crypto-prices`.
    pub source: String,
    /// The settings that change what the results mean, by name.
    pub meaning: Vec<(String, String)>,
}

impl Origin {
    /// Returns the origin of a graph with these settings.
    pub fn of(source: String, settings: &Settings) -> Origin {
        let meaning = settings.meaning().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Origin { source, meaning }
    }
}
