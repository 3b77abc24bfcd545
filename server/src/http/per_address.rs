//! How many of something each address has at a time: of connections, of WebSocket clients.
//!
//! An address is an IPv4 address, or the first 64 bits of an IPv6 address: a network of that size is the least that a
//! customer is given, and so the least that is one caller. Kept is one number for each address that has a place.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many low bits of an IPv6 address its owner chooses freely.
const HOST_BITS: u32 = 64;

/// One caller, as far as addresses tell.
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

/// The places that are taken, and how many an address may have.
pub(crate) struct AddressLimit {
    /// 0 for as many as it likes.
    most: usize,
    taken: Mutex<HashMap<Address, usize>>,
}

/// A place, free again once this is dropped.
pub(crate) struct AddressPermit {
    places: Arc<AddressLimit>,
    address: Address,
}

impl AddressLimit {
    /// So many places for each address, 0 for no limit.
    pub(crate) fn new(most: usize) -> Arc<AddressLimit> {
        Arc::new(AddressLimit { most, taken: Mutex::default() })
    }

    /// A place for this address, unless it has as many as it may.
    pub(crate) fn take(self: &Arc<AddressLimit>, address: Address) -> Option<AddressPermit> {
        let mut taken = self.taken();
        let count = taken.entry(address).or_default();
        if self.most > 0 && *count >= self.most {
            return None;
        }
        *count += 1;
        Some(AddressPermit { places: self.clone(), address })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Address, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
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
    fn each_address_has_its_places_and_none_is_remembered_without() {
        let places = AddressLimit::new(2);
        let here = address("192.0.2.1");
        let first = places.take(here).expect("a place");
        let second = places.take(here).expect("a place");
        assert!(places.take(here).is_none());
        let other = places.take(address("192.0.2.2")).expect("a place");
        drop(first);
        let third = places.take(here).expect("a place");
        assert!(places.take(here).is_none());
        drop((second, third, other));
        assert!(places.taken().is_empty());
    }

    #[test]
    fn without_a_limit_all_find_a_place() {
        let places = AddressLimit::new(0);
        let held: Vec<_> = (0..1000).filter_map(|_| places.take(address("192.0.2.1"))).collect();
        assert_eq!(held.len(), 1000);
    }
}
