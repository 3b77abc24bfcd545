//! The processes that share the work, by their numbers and addresses.

/// The processes that share the work, and the number of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The number of worker threads in each process.
    pub threads: usize,
    /// This process, counted from 0.
    pub process: usize,
    /// The address at which each process listens for the others, `host:port`, in the same order
    /// everywhere; empty for a single process.
    pub addresses: Vec<String>,
}

impl Cluster {
    /// Returns the number of processes.
    pub fn processes(&self) -> usize {
        self.addresses.len().max(1)
    }

    /// Returns the number of workers in all processes.
    pub fn peers(&self) -> usize {
        self.processes() * self.threads
    }

    /// Returns the workers of this process among all.
    pub fn workers(&self) -> std::ops::Range<usize> {
        self.process * self.threads..(self.process + 1) * self.threads
    }

    /// Returns a process's name in messages.
    pub(super) fn name(&self, process: usize) -> String {
        format!("process {process} at {}", self.addresses[process])
    }
}
