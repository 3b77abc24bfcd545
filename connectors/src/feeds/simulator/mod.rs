//! The simulated market: trades of any symbols from one seed, for trying Tallow out and for its
//! tests and benchmarks.
//!
//! **Deterministic.** The ticks are a function of the settings and the time at which the market
//! opens: not of the clock, nor of how often or in which portions they are taken. Each symbol draws
//! from a ChaCha8 stream of its own, keyed by (seed, symbol, opening time), so adding a symbol
//! changes no other symbol's ticks.
//!
//! **Price.** The fair log price `x` of a symbol moves by geometric Brownian motion, jumps added;
//! `t` in minutes:
//!
//! ```text
//! dx  = σ dW − σ²/2 dt + J dN        N: Poisson, jumps_per_hour / 60 a minute
//! σ   = σ₀ exp(h − s²)               constant within a minute, E σ² = σ₀²
//! h   ← φ h + s √(1 − φ²) ε          once a minute, ε standard normal; φ = 0.97, s = 0.35
//! |J| = σ (7 + 3 E)                  E standard exponential; either sign
//! σ₀² = a² / 525 600 / (1 + jumps_per_hour / 60 · E(|J| / σ)²)
//! ```
//!
//! where `a` is the annual volatility of the symbol, 45–100 %, jumps included. So volatility
//! clusters (its half-life is 23 minutes), tails are heavy, and a jump is an event that a z-score
//! detector over one-minute returns sees. The price stays between one price step and 10¹¹.
//!
//! **Trades.** A gap between trades is exponential with mean `g·b` with probability `q`, a burst,
//! else with mean `g·(1 − q·b)/(1 − q)`; `q = 0.3`, `b = 0.05`, and `1/g` is the symbol's rate
//! times `exp(h − s²/2)`: trading is busier where the price moves more. Gaps are cut at
//! [`SimulatorSettings::longest_gap_ms`]. A buyer pays the fair price rounded up to the price step,
//! a seller gets it rounded down, either with probability ½ and the same throughout a burst. The
//! traded value is log-normal, its logarithm with a standard deviation of 1.3.
//!
//! **Units.** Event times in whole milliseconds, prices and sizes as exact decimals of the symbol's
//! steps. **State** per symbol: some 500 bytes. **Cost** per tick: five random numbers, four
//! exponentials, one heap step.

mod disorder;
mod listing;
mod market;
mod settings;
mod simulation;
mod walk;

pub use disorder::{Arrival, Disorder, DisorderSettings};
pub use listing::PRODUCER;
pub use settings::SimulatorSettings;
pub use simulation::Simulator;
