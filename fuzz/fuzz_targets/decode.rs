//! The tick decoder under libFuzzer: `cargo +nightly fuzz run decode`.
//!
//! Built without libFuzzer, this program checks the property for the given files, so that a finding
//! can be reproduced with a stable toolchain: `cargo run -p tallow-fuzz --bin decode -- FILE…`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tallow_fuzz::check(bytes);
});

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        tallow_fuzz::check(&std::fs::read(path)?);
    }
    Ok(())
}
