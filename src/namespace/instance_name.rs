//! `<instance>._inst.<name>`: the name of one instance of the service at a name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder};
use crate::base::limits::LABEL_BYTES_MAX;

use super::name::{BadName, Name};

/// The label below a name under which the instances of its service answer.
pub const INSTANCES_LABEL: &[u8] = b"_inst";

/// What an instance is called in its service: one label of a host name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstanceLabel(Arc<str>);

/// Text that names no instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a-z, 0-9 and hyphens, at most {LABEL_BYTES_MAX}, no hyphen at the beginning or end"
)]
pub struct BadInstanceLabel;

impl InstanceLabel {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of this instance of the service at `name`.
    pub fn of(&self, name: &Name) -> Result<Name, BadName> {
        name.child(INSTANCES_LABEL)?.child(self.0.as_bytes())
    }
}

impl FromStr for InstanceLabel {
    type Err = BadInstanceLabel;

    fn from_str(text: &str) -> Result<Self, BadInstanceLabel> {
        let usual = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=LABEL_BYTES_MAX).contains(&text.len());
        let hyphens = text.starts_with('-') || text.ends_with('-');
        (fits && !hyphens && text.bytes().all(usual))
            .then(|| Self(text.into()))
            .ok_or(BadInstanceLabel)
    }
}

impl fmt::Display for InstanceLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Canonical for InstanceLabel {
    fn encode(&self, out: &mut Encoder) {
        out.text(&self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        const WHAT: &str = "instance";
        let text = input.text(WHAT, LABEL_BYTES_MAX)?;
        text.parse()
            .map_err(|_| DecodeError::NotCanonical { what: WHAT })
    }
}

/// Whether a name speaks of instances: only the index knows such names.
pub fn is_about_instances(name: &Name) -> bool {
    name.labels_down().any(|label| label == INSTANCES_LABEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_one_label_of_a_host_name() {
        let label: InstanceLabel = "web-1".parse().unwrap();
        let service: Name = "api.eu.mesh.internal.".parse().unwrap();
        let name = label.of(&service).unwrap();
        assert_eq!(name, "web-1._inst.api.eu.mesh.internal.".parse().unwrap());
        assert!(is_about_instances(&name) && !is_about_instances(&service));
        let long = "a".repeat(64);
        for text in ["", "-a", "a-", "A", "a.b", "_a", "ü", long.as_str()] {
            assert_eq!(
                text.parse::<InstanceLabel>(),
                Err(BadInstanceLabel),
                "{text}"
            );
        }
    }
}
