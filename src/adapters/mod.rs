//! The only code that reaches the world: sockets, files, the clock, the store. Adapters do not
//! know each other.

pub mod clock;
pub mod dns;
pub mod legacy;
pub mod storage;
