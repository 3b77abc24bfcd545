//! Distributions of values over buckets, the content of a Prometheus histogram.

/// Bounds for write times, in seconds: from a millisecond to half a minute.
pub const WRITE_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds for response times, in seconds: from half a millisecond to half a minute.
pub const REQUEST_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds for the delay between the end of a window and its settling, in seconds: from one second
/// to an hour.
pub const CLOSE_SECONDS: &[f64] =
    &[1.0, 2.5, 5.0, 10.0, 11.0, 12.5, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// The number of values in each bucket, and the sum of all values.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// The upper bounds of all buckets but the last, ascending and inclusive.
    bounds: &'static [f64],
    /// One count more than there are bounds.
    counts: Vec<u64>,
    sum: f64,
}

impl Distribution {
    /// Returns an empty distribution. The bounds must ascend.
    pub fn new(bounds: &'static [f64]) -> Distribution {
        Distribution { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Counts a value.
    pub fn observe(&mut self, value: f64) {
        self.counts[self.bounds.partition_point(|bound| *bound < value)] += 1;
        self.sum += value;
    }

    /// Returns the number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the sum of the values.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Returns the upper bound of each bucket, infinity for the last, and the number of values that
    /// fell into that bucket and no earlier one.
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
