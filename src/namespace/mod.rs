//! What the namespace is made of: names, aliases, identities and records.

pub mod action_name;
pub mod alias;
pub mod instance_name;
pub mod labels;
pub mod name;
pub mod path;
pub mod rdata;
pub mod record;
pub mod rtype;
pub mod scope;
pub mod uid;
pub mod version_name;
