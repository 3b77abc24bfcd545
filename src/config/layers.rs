//! Lays a file and the environment over the defaults, key by key.
//!
//! The defaults are the schema: a key that they don't have is an error. Each value is tried at once, so that the
//! message names the key and where it stands.

use super::{Config, DEFAULTS};
use anyhow::{Context, anyhow, bail};
use std::ffi::OsString;
use std::path::Path;
use toml::{Table, Value};

/// What a variable of the environment begins with; sections and keys follow, `__` between them.
const PREFIX: &str = "TALLOW__";

/// The settings as far as they are laid.
pub(super) struct Layers {
    table: Table,
    config: Config,
}

impl Layers {
    /// The defaults.
    pub(super) fn defaults() -> anyhow::Result<Layers> {
        let table: Table = DEFAULTS.parse().context("read the defaults")?;
        let config = table.clone().try_into().context("read the defaults")?;
        Ok(Layers { table, config })
    }

    /// The settings.
    pub(super) fn config(self) -> Config {
        self.config
    }

    /// Lays a file over them.
    pub(super) fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let tried = || format!("read settings {}", path.display());
        let text = std::fs::read_to_string(path).with_context(tried)?;
        let sections: Table = text
            .parse()
            .map_err(|error: toml::de::Error| match error.span() {
                Some(span) => {
                    let line = text.get(..span.start).unwrap_or(&text).matches('\n').count() + 1;
                    anyhow!("line {line}: {}", error.message())
                }
                None => anyhow!("{}", error.message()),
            })
            .with_context(tried)?;
        for (section, keys) in sections {
            let Value::Table(keys) = keys else {
                bail!("{}: unknown key {section}", tried());
            };
            if keys.is_empty() && !self.table.contains_key(&section) {
                bail!("{}: unknown section {section}", tried());
            }
            for (key, value) in keys {
                self.set(&section, &key, |_| value).with_context(tried)?;
            }
        }
        Ok(())
    }

    /// Lays the variables of an environment over them, of which only those of Tallow count.
    pub(super) fn environment(
        &mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> anyhow::Result<()> {
        // In order, so that of several mistakes it is always the same one that is named.
        let mut variables: Vec<_> = variables
            .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value)))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        variables.sort();
        for (name, value) in variables {
            let tried = || format!("read environment variable {name}");
            let lower = name[PREFIX.len()..].to_lowercase();
            let Some((section, key)) = lower.split_once("__") else {
                bail!("{}: unknown key {lower}", tried());
            };
            let value =
                value.into_string().map_err(|_| anyhow!("its value is not UTF-8")).with_context(tried)?;
            self.set(section, key, |default| parsed(value, default)).with_context(tried)?;
        }
        Ok(())
    }

    /// Sets one key; `value` is shown what it has been.
    fn set(&mut self, section: &str, key: &str, value: impl FnOnce(&Value) -> Value) -> anyhow::Result<()> {
        let slot =
            self.table.get_mut(section).and_then(Value::as_table_mut).and_then(|keys| keys.get_mut(key));
        let Some(slot) = slot else { bail!("unknown key {section}.{key}") };
        *slot = value(slot);
        self.config = self
            .table
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| anyhow!("{section}.{key}: {}", error.message()))?;
        Ok(())
    }
}

/// A variable's text as a value of the same type as the default. What is of another type stays text, which is then
/// refused with a message that shows it.
fn parsed(text: String, default: &Value) -> Value {
    match default {
        Value::Integer(_) | Value::Float(_) => match (text.parse(), text.parse()) {
            (Ok(integer), _) => Value::Integer(integer),
            (_, Ok(float)) => Value::Float(float),
            _ => Value::String(text),
        },
        Value::Boolean(_) => text.parse().map_or(Value::String(text), Value::Boolean),
        Value::Array(_) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
        }
        _ => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tallow_model::error::chain;

    fn with_file(content: &[u8]) -> Result<Config, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(content).expect("written");
        let shown = file.path().display().to_string();
        let mut layers = Layers::defaults().expect("the defaults are settings");
        let result = layers.file(file.path());
        result.map(|()| layers.config()).map_err(|error| chain(&*error).replace(&shown, "FILE"))
    }

    fn with_variables(variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut layers = Layers::defaults().expect("the defaults are settings");
        let result = layers.environment(variables.iter().map(|(name, value)| (name.into(), value.into())));
        result.map(|()| layers.config()).map_err(|error| chain(&*error))
    }

    #[test]
    fn a_file_overrides_the_defaults_key_by_key() {
        let config =
            with_file(b"[dataflow]\nworkers = 3\n[server]\n[up]\ntrades_per_second = 2").expect("read");
        assert_eq!(config.dataflow.workers, 3);
        assert_eq!(config.dataflow.batch_records, 16_384);
        assert_eq!(config.up.trades_per_second.to_bits(), 2f64.to_bits());
    }

    #[test]
    fn a_mistake_in_a_file_is_named_with_its_key() {
        let cases = [
            ("[dataflow]\nworker = 3", "unknown key dataflow.worker"),
            ("[kafkaa]\nx = 3", "unknown key kafkaa.x"),
            ("[kafkaa]", "unknown section kafkaa"),
            ("workers = 3", "unknown key workers"),
            (
                "[dataflow]\nworkers = \"many\"",
                "dataflow.workers: invalid type: string \"many\", expected usize",
            ),
            ("[dataflow]\nworkers = -1", "dataflow.workers: invalid value: integer `-1`, expected usize"),
            ("[server]\nlisten = \"here\"", "server.listen: invalid socket address syntax"),
            (
                "[logging]\nformat = \"xml\"",
                "logging.format: unknown variant `xml`, expected `text` or `json`",
            ),
            (
                "[server]\napi_keys = [\"secret\"]",
                "server.api_keys: an API key is given as name:hash, the hash as the 64 hexadecimal digits of its SHA-256",
            ),
            (
                "[server]\npipelines = [\"me:hunter2@host\"]",
                "server.pipelines: a process listens at http://host:port, and this is no such address",
            ),
            ("[up]\nsymbols = [\"B C\"]", "up.symbols: symbol has ' ', allowed are A-Z 0-9 . _ -"),
            ("[up]\n\nnot toml", "line 3: key with no value, expected `=`"),
        ];
        for (text, expected) in cases {
            assert_eq!(with_file(text.as_bytes()), Err(format!("read settings FILE: {expected}")), "{text}");
        }
        assert_eq!(
            with_file(b"\xff"),
            Err("read settings FILE: stream did not contain valid UTF-8".to_owned())
        );
    }

    #[test]
    fn a_variable_is_read_as_what_its_default_is() {
        let config = with_variables(&[
            ("TALLOW__UP__SYMBOLS", "BTC, eth,1000"),
            ("TALLOW__UP__DATA", "2025"),
            ("TALLOW__UP__BACKFILL_HOURS", "0.5"),
            ("TALLOW__SERVER__LISTEN", "[::1]:0"),
            ("TALLOW__DATAFLOW__WORKERS", "2"),
            ("TALLOW_UNRELATED", "x"),
        ])
        .expect("read");
        assert_eq!(
            config.up.symbols.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["BTC", "ETH", "1000"]
        );
        assert_eq!(config.up.data, Path::new("2025"));
        assert_eq!(config.up.backfill_hours.to_bits(), 0.5f64.to_bits());
        assert_eq!(config.server.listen.to_string(), "[::1]:0");
        assert_eq!(config.dataflow.workers, 2);
    }

    #[test]
    fn a_mistake_in_the_environment_is_named_with_its_variable() {
        let cases = [
            ("TALLOW__DATAFLOW__WORKER", "2", "unknown key dataflow.worker"),
            ("TALLOW__WORKERS", "2", "unknown key workers"),
            ("TALLOW__A__B__C", "2", "unknown key a.b__c"),
            (
                "TALLOW__DATAFLOW__WORKERS",
                "1.5",
                "dataflow.workers: invalid type: floating point `1.5`, expected usize",
            ),
            (
                "TALLOW__ANOMALIES__THRESHOLD",
                "",
                "anomalies.threshold: invalid type: string \"\", expected f64",
            ),
        ];
        for (name, value, expected) in cases {
            let expected = Err(format!("read environment variable {name}: {expected}"));
            assert_eq!(with_variables(&[(name, value)]), expected);
        }
    }
}
