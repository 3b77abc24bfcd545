//! The layers of settings: a file, the environment and flags override the defaults key by key.
//!
//! The defaults are the schema: a key that they don't have is an error. Each value is checked when
//! it is set, so that the error names the key and the file, variable or flag.

use super::Config;
use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use std::ffi::OsString;
use std::path::Path;
use toml::{Table, Value};

/// The commented defaults.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The prefix of environment variables that are settings: `TALLOW__SECTION__KEY`.
const PREFIX: &str = "TALLOW__";

/// The settings of all layers so far.
pub(crate) struct Layers {
    table: Table,
    config: Config,
}

impl Layers {
    /// Returns the layers below the flags: the defaults, then `file`, then the environment.
    ///
    /// # Errors
    /// If a layer can't be read, has an unknown key or a value out of bounds.
    pub(crate) fn below_flags(file: Option<&Path>) -> anyhow::Result<Layers> {
        let mut layers = Layers::defaults()?;
        if let Some(path) = file {
            layers.file(path)?;
        }
        layers.environment(std::env::vars_os())?;
        Ok(layers)
    }

    /// Reads the defaults.
    pub(super) fn defaults() -> anyhow::Result<Layers> {
        let table: Table = DEFAULTS.parse().context("read the defaults")?;
        let config = table.clone().try_into().context("read the defaults")?;
        Ok(Layers { table, config })
    }

    /// The settings of all layers.
    pub(crate) fn config(self) -> Config {
        self.config
    }

    /// The settings of the layers so far.
    pub(crate) fn so_far(&self) -> &Config {
        &self.config
    }

    /// Overrides the setting `section.key` with the value of a flag, if the flag is given.
    ///
    /// # Errors
    /// If the value is out of bounds.
    pub(crate) fn flag<T: Serialize>(
        &mut self,
        flag: &str,
        section: &str,
        key: &str,
        value: Option<T>,
    ) -> anyhow::Result<()> {
        let Some(value) = value else { return Ok(()) };
        let tried = || format!("read flag {flag}");
        let value = Value::try_from(value).map_err(|error| anyhow!("{error}")).with_context(tried)?;
        self.set(section, key, |_| value).with_context(tried)
    }

    /// Overrides settings with the keys of a file.
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

    /// Overrides settings with the variables that start with [`PREFIX`].
    pub(super) fn environment(
        &mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> anyhow::Result<()> {
        // Sorted, so that of several mistakes the same one is reported at each start.
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

    /// Sets one key to `value`, which is given the value of the layers below.
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

/// Parses the text of a variable as a value of the type of the default. A text of another type
/// stays a string, which the deserializer refuses with an error that shows the text.
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
        assert_eq!(config.dataflow.graph.batch_records, 16_384);
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
                "dataflow.workers: invalid type: string \"many\", expected u64",
            ),
            ("[dataflow]\nworkers = -1", "dataflow.workers: invalid value: integer `-1`, expected u64"),
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
            ("TALLOW__STORE__QUEUE_CHANGES", "0", "store.queue_changes: 0 is below the minimum of 1"),
            (
                "TALLOW__DATAFLOW__WORKERS",
                "1.5",
                "dataflow.workers: invalid type: floating point `1.5`, expected u64",
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

    #[test]
    fn a_flag_overrides_the_other_layers_and_is_named_when_refused() {
        let mut layers = Layers::defaults().expect("the defaults are settings");
        layers.flag("--workers", "dataflow", "workers", Some(3)).expect("within the bounds");
        layers.flag("--workers", "dataflow", "workers", None::<usize>).expect("not given");
        assert_eq!(layers.so_far().dataflow.workers, 3);
        let refused =
            layers.flag("--workers", "dataflow", "workers", Some(0)).map_err(|error| chain(&*error));
        let expected = "read flag --workers: dataflow.workers: 0 is below the minimum of 1";
        assert_eq!(refused, Err(expected.to_owned()));
    }
}
