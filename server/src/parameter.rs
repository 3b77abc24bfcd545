//! A parameter of a request: one declaration for the handler that reads it and the document that
//! describes it.

use serde_json::{Value, json};
use std::ops::RangeInclusive;
use tallow_model::MAX_EVENT_TIME;

/// The pattern of the years that a time may have: 1970 to 9999.
const TIME_PATTERN: &str = "^(19[7-9][0-9]|[2-9][0-9]{3})-";

/// A parameter, in the query unless it is in the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    kind: Kind,
    description: &'static str,
    is_required: bool,
    default: Option<Literal>,
    example: Option<Literal>,
}

/// The kind of value of a parameter.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// An integer within these bounds, both included.
    Integer { least: i64, most: u64 },
    /// Declares one of these names.
    Choice(&'static [&'static str]),
    /// Declares `true` or `false`.
    Flag,
    /// Declares a time: RFC 3339, or milliseconds since the epoch.
    Time,
    /// A text that this regular expression matches somewhere.
    Text(&'static str),
}

/// A literal value in the code.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Literal {
    Number(u64),
    Text(&'static str),
    Flag(bool),
}

impl Literal {
    fn json(self) -> Value {
        match self {
            Literal::Number(number) => json!(number),
            Literal::Text(text) => json!(text),
            Literal::Flag(flag) => json!(flag),
        }
    }
}

impl Parameter {
    const fn new(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
        Parameter { name, kind, description, is_required: false, default: None, example: None }
    }

    /// An integer within these bounds, both included.
    pub(crate) const fn integer(
        name: &'static str,
        least: u64,
        most: u64,
        description: &'static str,
    ) -> Parameter {
        Parameter::new(name, Kind::Integer { least: least as i64, most }, description)
    }

    /// Declares seconds since the epoch, which may lie before it.
    pub(crate) const fn seconds(name: &'static str, description: &'static str) -> Parameter {
        Parameter::new(name, Kind::Integer { least: i64::MIN, most: i64::MAX as u64 }, description)
    }

    /// Declares one of these names.
    pub(crate) const fn choice(
        name: &'static str,
        choices: &'static [&'static str],
        description: &'static str,
    ) -> Parameter {
        Parameter::new(name, Kind::Choice(choices), description)
    }

    /// Declares `true` or `false`.
    pub(crate) const fn flag(name: &'static str, description: &'static str) -> Parameter {
        Parameter::new(name, Kind::Flag, description)
    }

    /// Declares a time: RFC 3339, or milliseconds since the epoch.
    pub(crate) const fn time(name: &'static str, description: &'static str) -> Parameter {
        Parameter::new(name, Kind::Time, description)
    }

    /// A text that this regular expression of ECMA-262 matches somewhere.
    pub(crate) const fn text(
        name: &'static str,
        pattern: &'static str,
        description: &'static str,
    ) -> Parameter {
        Parameter::new(name, Kind::Text(pattern), description)
    }

    /// Makes the parameter mandatory.
    pub(crate) const fn required(mut self) -> Parameter {
        self.is_required = true;
        self
    }

    /// Sets the default.
    pub(crate) const fn or(mut self, default: Literal) -> Parameter {
        self.default = Some(default);
        self
    }

    /// Sets the example.
    pub(crate) const fn like(mut self, example: Literal) -> Parameter {
        self.example = Some(example);
        self
    }

    /// Sets the description.
    pub(crate) const fn about(mut self, description: &'static str) -> Parameter {
        self.description = description;
        self
    }

    /// Returns the bounds of an unsigned integer; of any other kind, all numbers.
    pub(crate) fn bounds(&self) -> RangeInclusive<u64> {
        match self.kind {
            Kind::Integer { least, most } => u64::try_from(least).unwrap_or(0)..=most,
            _ => 0..=u64::MAX,
        }
    }

    /// Returns the names of a choice; of any other kind, none.
    pub(crate) fn choices(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Choice(choices) => choices,
            _ => &[],
        }
    }

    /// Returns the default of a number.
    pub(crate) fn default_number(&self) -> Option<u64> {
        match self.default {
            Some(Literal::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// Returns the default of a choice.
    pub(crate) fn default_text(&self) -> Option<&'static str> {
        match self.default {
            Some(Literal::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns the description of the parameter in the document.
    pub(crate) fn json(&self, place: &str) -> Value {
        let mut schema = match self.kind {
            Kind::Integer { least, most } => json!({"type": "integer", "minimum": least, "maximum": most}),
            Kind::Choice(choices) => json!({"type": "string", "enum": choices}),
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Time => json!({"oneOf": [
                {"type": "string", "format": "date-time", "pattern": TIME_PATTERN},
                {"type": "integer", "minimum": 0, "maximum": MAX_EVENT_TIME.millis()},
            ]}),
            Kind::Text(pattern) => json!({"type": "string", "pattern": pattern}),
        };
        if let Some(default) = self.default {
            schema["default"] = default.json();
        }
        let mut parameter = json!({
            "name": self.name,
            "in": place,
            "required": self.is_required || place == "path",
            "description": self.description,
            "schema": schema,
        });
        let example = self.example.or(self.default).map(Literal::json);
        let first = self.choices().first().map(|name| json!(name));
        if let Some(example) = example.or(first) {
            parameter["example"] = example;
        }
        parameter
    }
}

/// Returns the names of choices, for [`Parameter::choice`].
pub(crate) const fn names<T: Copy, const N: usize>(choices: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut place = 0;
    while place < N {
        names[place] = choices[place].0;
        place += 1;
    }
    names
}
