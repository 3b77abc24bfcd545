//! The Node.js versions that the build script accepts for the dashboard.

#[path = "../build/node.rs"]
mod node;

use node::{is_enough, version};

#[test]
fn a_version_is_its_first_two_numbers() {
    assert_eq!(version("v20.19.2\n"), Some((20, 19)));
    assert_eq!(version("v24.0.0-nightly2026"), Some((24, 0)));
}

#[test]
fn an_invalid_version_is_none() {
    for printed in ["", "20.19.2", "v20", "v20.x.1", "vtwenty.one", "v-1.2.3"] {
        assert_eq!(version(printed), None, "{printed:?}");
    }
}

#[test]
fn versions_without_support_by_vite_are_refused() {
    for (printed, expected) in [
        ("v18.20.4", false),
        ("v20.18.3", false),
        ("v20.19.0", true),
        ("v20.20.2", true),
        ("v21.7.3", false),
        ("v22.11.0", false),
        ("v22.12.0", true),
        ("v23.0.0", true),
        ("v24.1.0", true),
    ] {
        assert_eq!(version(printed).map(is_enough), Some(expected), "{printed}");
    }
    assert!(node::WANTED.starts_with("20.19"));
}
