//! The sections of a part: the kinds of rows, and the fields of each.

use super::fields;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tallow_dataflow::{RetainedMinute, RetainedReturn, RollupVersions, State};
use tallow_model::{EventTime, MAX_EVENT_TIME, Symbol};

/// A kind of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// Rows of [`RetainedMinute`].
    Minutes,
    /// Rows of [`RetainedReturn`].
    Moves,
    /// Rows of [`RollupVersions`].
    Rollups,
}

impl Section {
    pub(super) const ALL: [Section; 3] = [Section::Minutes, Section::Moves, Section::Rollups];
    pub(super) const COUNT: usize = Section::ALL.len();

    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Returns the section's number in the chunks.
    pub(super) fn number(self) -> u8 {
        self as u8 + 1
    }

    pub(super) fn of_number(number: u8) -> Option<Section> {
        Section::ALL.into_iter().find(|section| section.number() == number)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Section::Minutes => "minutes",
            Section::Moves => "moves",
            Section::Rollups => "rollups",
        }
    }

    /// Returns the names of a row's fields, in the order in which they are written. Rows with other
    /// fields need another format version.
    pub(super) fn fields(self) -> Vec<String> {
        match self {
            Section::Minutes => fields::names::<RetainedMinute>(),
            Section::Moves => fields::names::<RetainedReturn>(),
            Section::Rollups => fields::names::<RollupVersions>(),
        }
    }
}

/// A row of a section.
pub(super) trait Row: Serialize + DeserializeOwned {
    const SECTION: Section;

    /// Returns the rows of this section in a state.
    fn of(state: &State) -> &Vec<Self>;
    fn of_mut(state: &mut State) -> &mut Vec<Self>;

    fn symbol(&self) -> Symbol;
    fn start(&self) -> EventTime;

    /// Checks that the graph could have made the row. Bytes with the right checksum may still be
    /// anything.
    fn check(&self) -> Result<(), &'static str> {
        if Symbol::parse(self.symbol().text().as_bytes()) != Ok(self.symbol()) {
            return Err("a row has no valid symbol");
        }
        if self.start() > MAX_EVENT_TIME {
            return Err("a row is later than any time");
        }
        Ok(())
    }
}

impl Row for RetainedMinute {
    const SECTION: Section = Section::Minutes;

    fn of(state: &State) -> &Vec<RetainedMinute> {
        &state.minutes
    }

    fn of_mut(state: &mut State) -> &mut Vec<RetainedMinute> {
        &mut state.minutes
    }

    fn symbol(&self) -> Symbol {
        self.symbol
    }

    fn start(&self) -> EventTime {
        self.start
    }
}

impl Row for RetainedReturn {
    const SECTION: Section = Section::Moves;

    fn of(state: &State) -> &Vec<RetainedReturn> {
        &state.returns
    }

    fn of_mut(state: &mut State) -> &mut Vec<RetainedReturn> {
        &mut state.returns
    }

    fn symbol(&self) -> Symbol {
        self.symbol
    }

    fn start(&self) -> EventTime {
        self.start
    }
}

impl Row for RollupVersions {
    const SECTION: Section = Section::Rollups;

    fn of(state: &State) -> &Vec<RollupVersions> {
        &state.rollups
    }

    fn of_mut(state: &mut State) -> &mut Vec<RollupVersions> {
        &mut state.rollups
    }

    fn symbol(&self) -> Symbol {
        self.symbol
    }

    fn start(&self) -> EventTime {
        self.start
    }
}
