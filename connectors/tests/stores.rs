//! Every sink, history and cache, put to the same contract. A new one is a bed and one line below.

mod beds;
mod contract;
mod services;

contract::store_contract!(sqlite, crate::beds::embedded::SqliteBed);
contract::store_contract!(postgres, crate::beds::postgres::PostgresBed);
contract::cache_contract!(memory, crate::beds::embedded::MemoryBed);
contract::cache_contract!(redis, crate::beds::redis::RedisBed);
