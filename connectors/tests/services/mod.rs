//! Where the real services are that tests talk to: `eval "$(scripts/services env)"` says it to them.
#![allow(dead_code, unused_imports, reason = "each test binary talks to some of the services")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

pub(crate) mod database;

/// The brokers; none, which is said, where there are none.
pub(crate) fn kafka() -> Option<String> {
    address("TALLOW__KAFKA__BOOTSTRAP_SERVERS")
}

/// The URL of a database of a role that may make databases.
pub(crate) fn postgres() -> Option<String> {
    address("TALLOW__POSTGRES__URL")
}

/// The URL of the Redis server.
pub(crate) fn redis() -> Option<String> {
    address("TALLOW__REDIS__URL")
}

/// What the variable says. A test that is not run for want of a service says so, and fails where all are required.
fn address(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok().filter(|address| !address.is_empty());
    if address.is_none() {
        assert!(
            std::env::var_os("TALLOW_REQUIRE_ALL").is_none(),
            "{variable} is not set; see scripts/services"
        );
        eprintln!(
            "skipped: {variable} is not set; scripts/services up, then eval \"$(scripts/services env)\""
        );
    }
    address
}

/// A name that no other test has, made of lower-case letters, digits and `_`.
pub(crate) fn unique(what: &str) -> String {
    format!("test_{what}_{}", uuid::Uuid::now_v7().simple())
}
