//! How values are spread over buckets: what a Prometheus histogram is made of.

/// Bounds for times of writes, in seconds: from a millisecond to half a minute.
pub const WRITE_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds for times of answers to requests, in seconds: from half a millisecond to half a minute.
pub const REQUEST_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds for how long after its end a window is closed, in seconds: from one second to an hour.
pub const CLOSE_SECONDS: &[f64] =
    &[1.0, 2.5, 5.0, 10.0, 11.0, 12.5, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// Counts of values by bucket, and their sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// The upper bounds of the buckets but the last, ascending, included.
    bounds: &'static [f64],
    /// One more than bounds.
    counts: Vec<u64>,
    sum: f64,
}

impl Distribution {
    /// One without values. The bounds must ascend.
    pub fn new(bounds: &'static [f64]) -> Distribution {
        Distribution { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Counts a value.
    pub fn observe(&mut self, value: f64) {
        self.counts[self.bounds.partition_point(|bound| *bound < value)] += 1;
        self.sum += value;
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The upper bound of each bucket, that of the last being infinite, and how many values fell into it and not
    /// into one before.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        self.bounds.iter().copied().chain([f64::INFINITY]).zip(self.counts.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let mut distribution = Distribution::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.5, 7.0] {
            distribution.observe(value);
        }
        assert_eq!(distribution.buckets().collect::<Vec<_>>(), [(1.0, 2), (2.0, 1), (f64::INFINITY, 2)]);
        assert_eq!((distribution.count(), distribution.sum()), (5, 12.5));
    }
}
