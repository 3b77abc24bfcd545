//! Versions of Node.js that can build the dashboard: those that Vite supports, 20.19 or later of
//! 20, and 22.12 or later.

/// The supported versions, for messages.
pub(crate) const WANTED: &str = "20.19, 22.12 or later";

/// Parses the first two numbers of the output of `node --version`, as `v20.19.2`; `None` for
/// anything else.
pub(crate) fn version(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed.trim().strip_prefix('v')?.splitn(3, '.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Returns whether a version can build the dashboard. Vite leaves out 21, and 22 before its
/// long-term support.
pub(crate) fn is_enough((major, minor): (u32, u32)) -> bool {
    match major {
        20 => minor >= 19,
        22 => minor >= 12,
        _ => major > 22,
    }
}
