//! The contract suite: claims about every store and cache, as functions over fixtures. The macros
//! make a test of each claim.
#![allow(missing_docs, reason = "the name of a function is the claim that it checks")]

pub mod alerts;
pub mod cache;
pub mod candles;
pub mod queries;
pub mod stats;

use tallow_model::Step;
use tallow_model::store::Sink;

/// Writes steps; the other tasks of the runtime go on while the sink blocks.
pub fn write(sink: &mut dyn Sink, steps: &[Step]) {
    tokio::task::block_in_place(|| sink.write(steps)).unwrap();
}

/// Makes a test of every claim about stores, for one fixture.
#[macro_export]
macro_rules! store_contract {
    ($name:ident, $fixture:ty) => {
        mod $name {
            $crate::contract_tests! { $fixture,
                candles: [
                    the_same_steps_written_again_change_nothing,
                    a_newer_version_replaces_and_an_older_one_does_not,
                    the_revision_never_goes_down,
                    the_newest_of_several_versions_in_one_step_stays,
                    progress_is_the_least_of_the_workers_and_never_goes_back,
                    reopening_keeps_everything,
                    readers_see_whole_steps_while_they_are_written,
                    a_price_comes_back_digit_for_digit,
                    rejects_are_taken_again_and_again,
                ],
                alerts: [
                    an_alert_raised_retracted_and_raised_again_is_one_row_as_it_stands,
                    an_older_version_of_an_alert_does_not_come_back,
                    alerts_are_found_by_every_parameter,
                ],
                queries: [
                    pages_are_those_of_a_plain_computation,
                    rolled_up_pages_are_those_of_a_plain_computation,
                    a_rolled_up_window_is_answered_when_it_is_over,
                    rolling_volumes_are_never_added_up,
                    unknown_symbols_and_empty_ranges_have_no_candles,
                    a_window_that_is_no_multiple_of_its_base_is_refused,
                ],
                stats: [
                    figures_are_those_of_a_plain_computation,
                    figures_that_are_undefined_are_absent,
                    what_has_settled_of_late_is_that_of_a_plain_computation,
                ]
            }
        }
    };
}

/// Makes a test of every claim about caches, for one fixture.
#[macro_export]
macro_rules! cache_contract {
    ($name:ident, $fixture:ty) => {
        mod $name {
            $crate::contract_tests! { $fixture,
                cache: [
                    the_newest_candle_is_the_latest_whatever_comes_after_it,
                    an_open_candle_of_a_closed_window_is_dropped,
                    a_correction_of_an_old_window_is_published_and_is_not_the_latest,
                    numbers_grow_by_one_per_symbol_and_interval,
                    an_update_carries_its_json_and_alerts_follow_candles,
                    a_bulk_of_history_tells_a_slow_subscriber_what_it_missed,
                    numbers_are_in_order_on_the_channel_with_several_publishers,
                ]
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($fixture:ty, $($part:ident: [$($claim:ident),* $(,)?]),*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                if <$fixture as $crate::fixtures::Fixture>::is_there() {
                    $crate::contract::$part::$claim::<$fixture>().await;
                }
            }
        )*)*
    };
}
