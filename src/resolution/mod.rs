//! From a question to an answer, step by step, without I/O.

pub mod legacy;
