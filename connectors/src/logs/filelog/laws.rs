//! The law of the log: no action loses a whole flushed line or shows a partial one.

use super::FileLog;
use super::segments::{self, partition_folder};
use super::tests::{Line, config, open, read, read_from};
use proptest::prelude::*;
use std::fs::OpenOptions;
use std::io::Write;

/// An action on a log.
#[derive(Clone, Debug)]
enum Act {
    Append(String),
    Flush,
    Close,
    /// The process dies, and this many of the bytes it wrote to the newest segment are gone.
    Crash(u64),
    /// The process dies while writing these bytes.
    Tear(String),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => "[a-z]{1,30}".prop_map(Act::Append),
        3 => Just(Act::Flush),
        1 => Just(Act::Close),
        1 => (0u64..80).prop_map(Act::Crash),
        1 => "[a-z]{1,100}".prop_map(Act::Tear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_whole_line_is_lost_and_no_partial_one_is_seen(acts in prop::collection::vec(act(), 1..60)) {
        let (_folder, mut config) = config();
        config.partitions = 1;
        let mut writer = open(&config);
        let mut reader = writer.log().reader(0, 0).expect("a reader");
        let (mut flushed, mut waiting): (Vec<Line>, Vec<Line>) = (Vec::new(), Vec::new());
        let mut seen = Vec::new();
        for act in acts {
            let (gone, torn) = match act {
                Act::Append(text) => {
                    waiting.push((writer.append(0, text.as_bytes()).expect("taken"), text));
                    continue;
                }
                Act::Flush => {
                    writer.flush().expect("written");
                    flushed.append(&mut waiting);
                    seen.extend(read(&mut reader));
                    prop_assert_eq!(&seen, &flushed);
                    continue;
                }
                Act::Close => {
                    writer.close().expect("closed");
                    flushed.append(&mut waiting);
                    (0, String::new())
                }
                Act::Crash(gone) => {
                    writer.crash();
                    (gone, String::new())
                }
                Act::Tear(torn) => {
                    writer.crash();
                    (0, torn)
                }
            };
            waiting.clear();
            let segments = segments::list(&partition_folder(&config.folder, 0)).expect("segments");
            let newest = segments.last().expect("a segment");
            let kept = newest.len - gone.min(newest.len);
            let end = newest.base + kept;
            flushed.retain(|(offset, text)| end > offset + text.len() as u64);
            let mut file = OpenOptions::new().append(true).open(&newest.path).expect("the segment");
            file.set_len(kept).expect("cut");
            file.write_all(torn.as_bytes()).expect("torn");

            writer = open(&config);
            reader = writer.log().reader(0, 0).expect("a reader");
            seen = read(&mut reader);
            prop_assert_eq!(&seen, &flushed);
            let outside = FileLog::open(&config.folder).expect("a log");
            prop_assert_eq!(read_from(&outside, 0, 0), flushed.clone());
        }
    }
}
