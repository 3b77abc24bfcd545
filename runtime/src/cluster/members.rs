//! The processes that share the work, by their numbers and addresses.

/// Which processes share the work, and which of them this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Worker threads in each process.
    pub threads: usize,
    /// This process, counted from 0.
    pub process: usize,
    /// Where each process listens for the others, `host:port`, in the same order everywhere; empty for a process of
    /// its own.
    pub addresses: Vec<String>,
}

impl Cluster {
    /// How many processes there are.
    pub fn processes(&self) -> usize {
        self.addresses.len().max(1)
    }

    /// How many workers all processes have together.
    pub fn peers(&self) -> usize {
        self.processes() * self.threads
    }

    /// The workers of this process among all.
    pub fn workers(&self) -> std::ops::Range<usize> {
        self.process * self.threads..(self.process + 1) * self.threads
    }

    /// A process as it is spoken of.
    pub(super) fn name(&self, process: usize) -> String {
        format!("process {process} at {}", self.addresses[process])
    }
}
