//! The only code that reaches the world: sockets, files, the clock, the store. Adapters do not
//! know each other.

pub mod account;
pub mod activation;
pub mod audit_file;
pub mod checks;
pub mod clock;
pub mod device_files;
pub mod dns;
pub mod http;
pub mod keys;
pub mod legacy;
pub mod open_files;
pub mod peers;
pub mod process;
pub mod query_log_file;
pub mod randomness;
pub mod service_manager;
pub mod spool;
pub mod storage;
pub mod tls_files;
pub mod zone_files;
