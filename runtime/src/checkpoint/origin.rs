//! The source and the rules that a checkpoint belongs to.

use tallow_dataflow::Settings;

/// What a checkpoint belongs to: one that was taken of another log, or under other rules, is not taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where the records come from, as `kafka:crypto-prices`.
    pub source: String,
    /// The settings that change what the results mean, by name.
    pub meaning: Vec<(String, String)>,
}

impl Origin {
    /// That of a graph with these settings.
    pub fn of(source: String, settings: &Settings) -> Origin {
        let meaning = settings.meaning().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Origin { source, meaning }
    }
}
