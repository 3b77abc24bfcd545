//! Which versions of Node.js can build the dashboard: those that Vite runs with, 20.19 or later of 20, and 22.12 or later.

/// What to say of the versions that can.
pub(crate) const WANTED: &str = "20.19, 22.12 or later";

/// The first two numbers of what `node --version` prints, as `v20.19.2`; none for anything else.
pub(crate) fn version(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed.trim().strip_prefix('v')?.splitn(3, '.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Whether it can. 21 is left out, and the 22 of before the long-term support, as Vite does.
pub(crate) fn is_enough((major, minor): (u32, u32)) -> bool {
    match major {
        20 => minor >= 19,
        22 => minor >= 12,
        _ => major > 22,
    }
}
