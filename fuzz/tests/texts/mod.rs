//! Texts that look like ticks: fields of the right names with values that are right, nearly right
//! or arbitrary, in any order, some twice; then a few bytes of some texts are changed.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Pieces to insert: bytes and words with a meaning in JSON.
const PIECES: [&[u8]; 26] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b" ",
    b"\n",
    b"0",
    b"9",
    b"-",
    b".",
    b"e",
    b"E+",
    b"null",
    b"true",
    b"\\u0000",
    b"\\ud83d",
    b"\x00",
    b"\x1f",
    b"\x7f",
    b"\xff",
    b"\xc3\xa9",
    b"\xef\xbb\xbf",
];

/// One change of a text.
#[derive(Clone, Debug)]
enum Damage {
    Insert(Index, &'static [u8]),
    Replace(Index, u8),
    Remove(Index),
    Cut(Index),
    Repeat(Index, Index),
}

/// Generates a text of the shape of a tick, damaged in half of the cases.
pub(crate) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![
        4 => (any::<Index>(), select(&PIECES[..])).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        2 => any::<Index>().prop_map(Damage::Remove),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ];
    let damages = prop_oneof![Just(Vec::new()), prop::collection::vec(damage, 1..4)];
    (object(), damages).prop_map(|(text, damages)| {
        damages.into_iter().fold(text.into_bytes(), |mut bytes, damage| {
            apply(&mut bytes, damage);
            bytes
        })
    })
}

fn apply(bytes: &mut Vec<u8>, damage: Damage) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match damage {
        Damage::Insert(at, piece) => {
            let at = at.index(len + 1);
            bytes.splice(at..at, piece.iter().copied());
        }
        Damage::Replace(at, byte) => bytes[at.index(len)] = byte,
        Damage::Remove(at) => {
            bytes.remove(at.index(len));
        }
        Damage::Cut(at) => bytes.truncate(at.index(len)),
        Damage::Repeat(from, to) => {
            let (from, to) = (from.index(len), to.index(len));
            bytes.extend_from_within(from.min(to)..from.max(to));
        }
    }
}

/// Generates an object whose fields are mostly a tick's.
fn object() -> impl Strategy<Value = String> {
    let mandatory = (field("symbol", symbol()), field("price_usd", price()), field("timestamp", timestamp()));
    let others = prop_oneof![
        field("price", price()),
        field("size", price()),
        field("volume_24h", price()),
        field("received", timestamp()),
        field("trade_id", value()),
        ("[a-z]{0,6}", space(), value())
            .prop_map(|(name, space, value)| format!("\"{name}\":{space}{value}")),
        (string(), value()).prop_map(|(name, value)| format!("{name}:{value}")),
    ];
    let fields =
        (mandatory, prop::collection::vec(others, 0..5)).prop_map(|((symbol, price, time), others)| {
            [symbol, price, time].into_iter().chain(others).collect::<Vec<_>>()
        });
    // One field is sometimes missing.
    let fields = (fields.prop_shuffle(), prop::bool::weighted(0.1)).prop_map(|(mut fields, short)| {
        fields.truncate(fields.len() - usize::from(short));
        fields
    });
    (space(), fields, space()).prop_map(|(before, fields, after)| {
        format!("{before}{{{before}{}{after}}}{after}", fields.join(&format!("{before},{after}")))
    })
}

/// Generates a field of this name, mostly with a valid value, sometimes with any; the name is
/// sometimes escaped.
fn field(name: &'static str, usual: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    let value = prop_oneof![16 => usual, 1 => value(), 1 => Just("null".to_owned())];
    (prop::bool::weighted(0.05), space(), value)
        .prop_map(move |(escaped, space, value)| {
            let first = name.as_bytes()[0];
            let name = if escaped { format!("\\u{first:04x}{}", &name[1..]) } else { name.to_owned() };
            format!("\"{name}\"{space}:{space}{value}")
        })
        .boxed()
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \t\r\n]{1,2}"]
}

fn symbol() -> impl Strategy<Value = String> {
    prop_oneof![
        16 => "\"[A-Za-z0-9._-]{1,20}\"",
        1 => "\"[A-Z/ é]{0,22}\"",
        1 => "\"(\\\\u00[4-6][0-9a-f]){1,5}\"",
    ]
}

fn price() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[1-9][0-9]{0,6}(\\.[0-9]{1,10})?",
        2 => "0\\.0{0,20}[1-9][0-9]{0,18}",
        2 => "[1-9](\\.[0-9]{1,25})?[eE][+-]?[0-9]{1,2}",
        1 => "[1-9][0-9]{6,20}(\\.[0-9]{1,12})?",
        1 => number(),
    ]
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,5})?"
}

fn timestamp() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "1[0-9]{12}",
        1 => "-?[0-9]{1,20}",
        8 => "\"(19[7-9]|20[0-4])[0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]0[0-9]:[0-5][0-9])\"",
        1 => "\"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9](:[0-6][0-9])?(Z|z|)\"",
    ]
}

/// Generates a string that is valid or nearly so.
fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => "\"(\\\\[\"\\\\/bfnrt]|\\\\u[0-9abcABC][0-9a-fA-F]{3}|\\\\ud8[0-9a-f]{2}\\\\udc[0-9A-F]{2}|[^\"\\\\\\x00-\\x1f]){0,8}\"",
        1 => "\"(\\\\[\"u0x]|\\\\u[dD][89a-fA-F][0-9a-f]{2}|\\PC|.){0,6}\"",
    ]
}

/// Generates any value, also nested, down to about the greatest depth.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        9 => number(),
        9 => string(),
        3 => select(&["null", "true", "false"][..]).prop_map(str::to_owned),
        1 => select(&["nul", "NaN", "Infinity", "+1", "01", "1.", ".5", "1e", "-"][..]).prop_map(str::to_owned),
    ];
    let nested = leaf.prop_recursive(3, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec((string(), inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    });
    let deep = (120usize..132, any::<bool>()).prop_map(|(levels, objects)| {
        let (open, close) = if objects { ("{\"a\":", "}") } else { ("[", "]") };
        format!("{}0{}", open.repeat(levels), close.repeat(levels))
    });
    prop_oneof![20 => nested, 1 => deep]
}
