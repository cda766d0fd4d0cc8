//! `[[region]]` and `leases.show`: where clients are, and what they are shown of instances elsewhere.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::base::limits::{REGION_BYTES_MAX, REGION_NETWORKS_MAX};
use crate::resolution::instances::Shows;

use super::file_v1;
use super::valid::{Fault, each};

/// Where clients are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Regions {
    /// Networks and the regions that they are in.
    pub networks: Vec<(IpNet, Box<str>)>,
    /// What is shown of instances in several regions.
    pub shows: Shows,
}

pub(super) fn regions(
    written: Vec<file_v1::Region>,
    show: file_v1::Show,
) -> Result<Regions, Fault> {
    let mut seen = BTreeSet::new();
    let mut networks: Vec<(IpNet, Box<str>)> = Vec::new();
    for file_v1::Region { name, networks: of } in written {
        if name.is_empty() || name.len() > REGION_BYTES_MAX {
            let problem = format!("{name:?}: expected 1 to {REGION_BYTES_MAX} bytes");
            return Err(("region.name".to_owned(), problem));
        }
        for net in each::<IpNet>("region.networks", &of)? {
            if !seen.insert(net.trunc()) {
                let problem = format!("{net} is written twice");
                return Err(("region.networks".to_owned(), problem));
            }
            networks.push((net.trunc(), name.as_str().into()));
        }
    }
    if networks.len() > REGION_NETWORKS_MAX {
        let problem = format!("expected at most {REGION_NETWORKS_MAX} in all");
        return Err(("region.networks".to_owned(), problem));
    }
    let shows = match show {
        file_v1::Show::Nearest => Shows::Nearest,
        file_v1::Show::All => Shows::All,
    };
    Ok(Regions { networks, shows })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    #[test]
    fn a_region_has_a_name_and_a_network_is_in_one_region() {
        for (text, fault) in [
            (
                "[[region]]\nname = \"\"\nnetworks = [\"10.0.0.0/8\"]",
                "region.name",
            ),
            (
                "[[region]]\nname = \"eu\"\nnetworks = [\"10.0.0.1/8\", \"10.0.0.0/8\"]",
                "region.networks",
            ),
            ("[leases]\nshow = \"some\"", "line 2"),
        ] {
            let error = Config::parse(text, Path::new("kedge.toml"), Path::new("")).unwrap_err();
            assert!(error.to_string().contains(fault), "{text}: {error}");
        }
    }
}
