//! The files of the deployment, read as Compose reads them.

use super::{compose, parse, services, texts};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

pub(crate) fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Any YAML, `<<` merged: an extension of a compose file, which may be anything.
pub(crate) fn yaml(text: &str) -> Value {
    let lines: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let compose =
        compose_spec::Options::default().from_yaml_str(&format!("services: {{}}\nx-file:\n{lines}"));
    let mut value = compose.unwrap().extensions.into_iter().next().unwrap().1;
    value.apply_merge().unwrap();
    serde_json::to_value(value).unwrap()
}

/// The text before, inside and after the first `${…}`.
fn variables(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split("${").enumerate().map(|(number, part)| match number {
        0 => (part, None),
        _ => part.split_once('}').map(|(variable, rest)| (rest, Some(variable))).unwrap(),
    })
}

/// The text with the defaults of all variables, and `given` for those that have none.
pub(crate) fn interpolated(text: &str) -> String {
    let mut whole = String::new();
    for (rest, variable) in variables(text) {
        match variable.map(|variable| (variable.split_once(":-"), variable.split_once(":?"))) {
            Some((Some((_, default)), _)) => whole.push_str(default),
            Some((None, Some(_))) => whole.push_str("given"),
            Some((None, None)) => panic!("{variable:?} has neither a default nor what to say without it"),
            None => {}
        }
        whole.push_str(rest);
    }
    whole.replace("$$", "$")
}

/// The variables that must be given.
pub(crate) fn required(text: &str) -> BTreeSet<&str> {
    variables(text).filter_map(|(_, variable)| Some(variable?.split_once(":?")?.0)).collect()
}

#[test]
fn what_is_mounted_is_there() {
    let (services, volumes) = (services(), compose()["volumes"].as_object().unwrap().clone());
    let mut mounted = 0;
    for (name, service) in services {
        for volume in texts(&service["volumes"]) {
            let source = volume.split_once(':').unwrap().0;
            match source.strip_prefix("./") {
                Some(file) => {
                    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(), "{name}: {file}")
                }
                None => assert!(volumes.contains_key(source), "{name}: {source} is no volume"),
            }
            mounted += 1;
        }
    }
    assert!(mounted >= volumes.len());
}

#[test]
fn a_variable_without_a_default_has_to_be_given() {
    let text = "a: ${A:-b}:${C:?why}\nd: $$e ${F:-}\n";
    assert_eq!(interpolated(text), "a: b:given\nd: $e \n");
    assert_eq!(required(text), ["C"].into());
    assert!(parse("services: {}").is_ok());
}
