//! Secret keys: in files, plain or encrypted, or with a program that signs for them.

pub mod command;
pub mod files;
mod pem;
pub mod protocol;
