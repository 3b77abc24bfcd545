//! The parameters of a request: a parameter that is unknown, given twice or out of bounds is named
//! in the error.

use crate::http::problem::{ParameterError, Problem};
use crate::parameter::Parameter;
use std::fmt::Display;
use std::ops::RangeInclusive;
use tallow_model::{EventTime, MAX_EVENT_TIME};

/// Most mistakes that are reported: nobody reads more, and each lists all allowed values.
const MAX_ERRORS: usize = 16;

/// A parameter with a name.
pub(crate) trait Named {
    /// Returns the name of the parameter.
    fn name(&self) -> &'static str;
}

impl Named for Parameter {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl Named for &'static str {
    fn name(&self) -> &'static str {
        self
    }
}

/// The parameters of one request. Getters record errors and return the default; [`Query::finish`]
/// reports the first
/// [`MAX_ERRORS`] of them.
pub(crate) struct Query {
    known: Vec<&'static str>,
    pairs: Vec<(String, String)>,
    errors: Vec<ParameterError>,
}

impl Query {
    /// Reads the query of a URI. Only the `known` parameters are allowed.
    pub(crate) fn parse(raw: Option<&str>, known: &[impl Named]) -> Query {
        let known = known.iter().map(Named::name).collect();
        let mut query = Query { known, pairs: Vec::new(), errors: Vec::new() };
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if query.errors.len() == MAX_ERRORS {
                break;
            }
            if !query.known.contains(&&*name) {
                let known = query.known.join(", ");
                let allowed = if known.is_empty() { "no parameters".to_owned() } else { known };
                query.note(&name, "unknown parameter", allowed);
            } else if query.pairs.iter().any(|(other, _)| *other == name) {
                query.note(&name, "given more than once", "once");
            } else {
                query.pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        query
    }

    /// Refuses a request that has any parameter.
    pub(crate) fn none(raw: Option<&str>) -> Result<(), Problem> {
        Query::parse(raw, &[] as &[Parameter]).finish()
    }

    /// Returns the text of a parameter. Debug builds panic at a parameter that is not declared: it
    /// could never be given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(self.known.contains(&name), "{name} is read and not declared");
        self.pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Records an error, unless [`MAX_ERRORS`] are recorded already.
    pub(crate) fn note(&mut self, parameter: &str, detail: impl Display, allowed: impl Display) {
        if self.errors.len() == MAX_ERRORS {
            return;
        }
        let (detail, allowed) = (detail.to_string(), allowed.to_string());
        self.errors.push(ParameterError { parameter: parameter.to_owned(), detail, allowed });
    }

    /// Reads one of the choices, by its name in any case. The choices must be those of the
    /// parameter.
    pub(crate) fn choice<T: Copy>(&mut self, parameter: &Parameter, choices: &[(&str, T)]) -> Option<T> {
        debug_assert!(parameter.choices().iter().eq(choices.iter().map(|(name, _)| name)), "{parameter:?}");
        self.one_of(parameter.name, choices)
    }

    /// Reads one of the choices; without one, returns the default of the parameter.
    pub(crate) fn chosen<T: Copy, const N: usize>(
        &mut self,
        parameter: &Parameter,
        choices: &[(&str, T); N],
    ) -> T {
        let default = choices.iter().find(|(name, _)| Some(*name) == parameter.default_text());
        debug_assert!(default.is_some(), "{parameter:?} has no default among its choices");
        self.choice(parameter, choices).unwrap_or(default.unwrap_or(&choices[0]).1)
    }

    fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = choices.iter().find(|(choice, _)| choice.eq_ignore_ascii_case(text));
        if let Some((_, value)) = found {
            return Some(*value);
        }
        let allowed: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
        self.note(name, format!("{text:?} is not one of the allowed values"), allowed.join(", "));
        None
    }

    /// Reads an integer within the bounds.
    pub(crate) fn integer(&mut self, name: &str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(name)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = text.parse().ok().filter(|value| digits && bounds.contains(value));
        if value.is_none() {
            let detail = format!("{text:?} is not an integer within the bounds");
            self.note(name, detail, format!("{}–{}", bounds.start(), bounds.end()));
        }
        value
    }

    /// Reads the number of a parameter; without one, returns its default.
    pub(crate) fn number(&mut self, parameter: &Parameter) -> Option<u64> {
        self.integer(parameter.name, parameter.bounds()).or(parameter.default_number())
    }

    /// Reads `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.one_of(name, &[("true", true), ("false", false)])
    }

    /// Reads a time: RFC 3339, or milliseconds since the epoch.
    pub(crate) fn time(&mut self, parameter: &Parameter) -> Option<EventTime> {
        let name = parameter.name;
        let text = self.text(name)?;
        let time = time(text);
        if time.is_none() {
            let detail = format!("{text:?} is not a time within the years 1970 and 9999");
            self.note(name, detail, "RFC 3339, or milliseconds since 1970");
        }
        time
    }

    /// Returns the recorded errors, if there are any.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::parameters(self.errors)) }
    }
}

fn time(text: &str) -> Option<EventTime> {
    let millis = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()?
    } else {
        // The `+` of an offset that was not percent-encoded arrives as a space.
        let millis = epoch_millis(text).or_else(|| {
            let (before, offset) = text.rsplit_once(' ')?;
            epoch_millis(&format!("{before}+{offset}"))
        })?;
        u64::try_from(millis).ok()?
    };
    Some(EventTime(millis)).filter(|time| *time <= MAX_EVENT_TIME)
}

/// Reads the instant of a text in RFC 3339 from its parts: `jiff::Timestamp` ends a day before the
/// year 9999 does.
fn epoch_millis(text: &str) -> Option<i128> {
    let parts = jiff::fmt::temporal::Pieces::parse(text).ok()?;
    let offset = parts.to_numeric_offset()?;
    let local = jiff::civil::DateTime::from_parts(parts.date(), parts.time()?);
    let epoch = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    Some(local.duration_since(epoch).as_millis() - i128::from(offset.seconds()) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_or_milliseconds() {
        let expected = Some(EventTime(1_763_271_000_000));
        assert_eq!(time("1763271000000"), expected);
        assert_eq!(time("2025-11-16T05:30:00Z"), expected);
        assert_eq!(time("2025-11-16T06:30:00+01:00"), expected);
        assert_eq!(time("2025-11-16T06:30:00 01:00"), expected);
        assert_eq!(time("2025-11-16t05:30:00z"), expected);
        assert_eq!(time("1970-01-01T00:00:00Z"), Some(EventTime(0)));
        assert_eq!(time("9999-12-31T23:59:59.999Z"), Some(MAX_EVENT_TIME));
    }

    #[test]
    fn what_is_no_time_or_out_of_range_is_refused() {
        let texts = [
            "",
            "-1",
            "1.5",
            "yesterday",
            "0001-01-01T00:00:00Z",
            "253402300800000",
            "2025-11-16",
            "2025-11-16T05:30:00",
            "2025-02-30T00:00:00Z",
            "1970-01-01T00:00:00+01:00",
        ];
        for text in texts {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn every_mistake_is_noted() {
        let mut query = Query::parse(Some("limit=0&limit=5&hours=x&extra=1"), &["limit", "hours"]);
        assert_eq!(query.integer("limit", 1..=100), None);
        assert_eq!(query.integer("hours", 1..=168), None);
        let named: Vec<&str> = query.errors.iter().map(|error| error.parameter.as_str()).collect();
        assert_eq!(named, ["limit", "extra", "limit", "hours"]);
    }
}
