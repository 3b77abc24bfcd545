//! Limits for each address: on connections, WebSocket clients and exports at a time.
//!
//! An address is an IPv4 address, or the first 64 bits of an IPv6 address: a provider gives each
//! customer at least a network of that size, so a smaller one is no caller of its own.
//!
//! State: one number for each address that has a permit.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The low bits of an IPv6 address that its owner chooses freely.
const HOST_BITS: u32 = 64;

/// A caller, as far as addresses tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address(IpAddr);

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        // A socket for both families shows IPv4 addresses as mapped ones.
        Address(match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> HOST_BITS << HOST_BITS)),
        })
    }
}

/// The permits that are taken, and the most permits of an address.
pub(crate) struct AddressLimit {
    /// The most permits of an address; 0 for no limit.
    most: usize,
    taken: Mutex<HashMap<Address, usize>>,
}

/// A permit of an address, given back when it is dropped.
pub(crate) struct AddressPermit {
    limit: Arc<AddressLimit>,
    address: Address,
}

impl AddressLimit {
    /// A limit of `most` permits for each address; 0 for no limit.
    pub(crate) fn new(most: usize) -> Arc<AddressLimit> {
        Arc::new(AddressLimit { most, taken: Mutex::default() })
    }

    /// Takes a permit for the address; `None` if the address has all it may have.
    pub(crate) fn take(self: &Arc<AddressLimit>, address: Address) -> Option<AddressPermit> {
        let mut taken = self.taken();
        let count = taken.entry(address).or_default();
        if self.most > 0 && *count >= self.most {
            return None;
        }
        *count += 1;
        Some(AddressPermit { limit: self.clone(), address })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Address, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut taken = self.limit.taken();
        if let Some(count) = taken.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:0:0:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }

    #[test]
    fn an_address_is_forgotten_with_its_last_permit() {
        let limit = AddressLimit::new(2);
        let here = address("192.0.2.1");
        let first = limit.take(here).expect("a permit");
        let second = limit.take(here).expect("a permit");
        assert!(limit.take(here).is_none());
        let other = limit.take(address("192.0.2.2")).expect("a permit");
        drop(first);
        let third = limit.take(here).expect("a permit");
        assert!(limit.take(here).is_none());
        drop((second, third, other));
        assert!(limit.taken().is_empty());
    }

    #[test]
    fn without_a_limit_every_caller_gets_a_permit() {
        let limit = AddressLimit::new(0);
        let held: Vec<_> = (0..1000).filter_map(|_| limit.take(address("192.0.2.1"))).collect();
        assert_eq!(held.len(), 1000);
    }
}
