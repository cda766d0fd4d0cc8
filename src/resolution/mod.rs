//! From a question to an answer, step by step, without I/O.

pub mod answer;
pub mod designation;
pub mod directory;
pub mod fallback;
pub mod governed;
pub mod instances;
pub mod keeping;
pub mod legacy;
pub mod load;
pub mod lookup;
pub mod pipeline;
pub mod question;
pub mod special;
pub mod trail;
pub mod zone;
