//! Every sink, history and cache, put to the same contract. A new one is a fixture and one line
//! below.

tallow_testing::store_contract!(sqlite, tallow_testing::fixtures::embedded::SqliteFixture);
tallow_testing::store_contract!(postgres, tallow_testing::fixtures::postgres::PostgresFixture);
tallow_testing::cache_contract!(memory, tallow_testing::fixtures::embedded::MemoryFixture);
tallow_testing::cache_contract!(redis, tallow_testing::fixtures::redis::RedisFixture);
