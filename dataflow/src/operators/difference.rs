//! Differences of a collection, and the one way in which operators emit them.

use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Session;

/// A difference of a collection: the element, its logical time, +1 or −1.
pub(crate) type Difference<D> = (D, u64, isize);

/// An output of differences. A trait, because the type of a timely session is longer than its use.
pub(crate) trait Emit<D> {
    fn emit(&mut self, element: D, time: u64, diff: isize);
}

impl<D: Clone + 'static> Emit<D>
    for Session<'_, '_, u64, CapacityContainerBuilder<Vec<Difference<D>>>, Capability<u64>>
{
    fn emit(&mut self, element: D, time: u64, diff: isize) {
        self.give((element, time, diff));
    }
}
