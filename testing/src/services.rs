//! The addresses of the real services, from the environment: `eval "$(scripts/services env)"` sets
//! them.
//!
//! A test whose service is missing says that it is skipped; with `TALLOW_REQUIRE_ALL` it fails.

/// Returns the Kafka brokers, or `None` after saying that the test is skipped.
pub fn kafka() -> Option<String> {
    address("TALLOW__KAFKA__BOOTSTRAP_SERVERS")
}

/// Returns the URL of a PostgreSQL database whose role may create databases, or `None` after
/// saying that the test is skipped.
pub fn postgres() -> Option<String> {
    address("TALLOW__POSTGRES__URL")
}

/// Returns the URL of the Redis server, or `None` after saying that the test is skipped.
pub fn redis() -> Option<String> {
    address("TALLOW__REDIS__URL")
}

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

/// Returns a name that no other test has, made of lower-case letters, digits and `_`.
pub fn unique(what: &str) -> String {
    format!("test_{what}_{}", uuid::Uuid::now_v7().simple())
}
