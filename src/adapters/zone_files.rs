//! Zone files on disk.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::limits::ZONE_FILE_BYTES_MAX;
use crate::namespace::name::Name;
use crate::resolution::zone::Zone;
use crate::zonefile::{self, BadInclude, Finding, Included, Includes};

/// What a zone directory's files end with.
const SUFFIX: &str = "zone";

/// A zone that was read, with what a person should look at.
#[derive(Debug)]
pub struct LoadedZone {
    /// The zone.
    pub zone: Zone,
    /// The file.
    pub path: PathBuf,
    /// Findings that do not keep it from being served.
    pub warnings: Vec<Finding>,
}

/// Why a zone file is not served.
#[derive(Debug, thiserror::Error)]
pub enum ZoneFileError {
    /// It cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: BadInclude,
    },
    /// Its name tells no origin.
    #[error("{path}: the file's name before .{SUFFIX} is the zone's name, and this is none")]
    Origin {
        /// The file.
        path: PathBuf,
    },
    /// Its content is wrong.
    #[error("{}", listed(.0))]
    Findings(Vec<Finding>),
    /// It has no SOA at its origin.
    #[error("{path}: there is no SOA record at the zone's name")]
    NoSoa {
        /// The file.
        path: PathBuf,
    },
}

fn listed(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Reads one zone.
pub fn load(path: &Path, origin: &Name) -> Result<LoadedZone, ZoneFileError> {
    let unreadable = |reason| ZoneFileError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let bytes = read(path).map_err(unreadable)?;
    let data = zonefile::load(&path.display().to_string(), &bytes, origin, &Beside)
        .map_err(ZoneFileError::Findings)?;
    let zone = Zone::new(data.origin, data.sets).ok_or_else(|| ZoneFileError::NoSoa {
        path: path.to_owned(),
    })?;
    Ok(LoadedZone {
        zone,
        path: path.to_owned(),
        warnings: data.warnings,
    })
}

/// The zone files of a directory with the origins that their names tell, in order.
pub fn list(directory: &Path) -> Result<Vec<(PathBuf, Name)>, ZoneFileError> {
    let failed = |error: std::io::Error| ZoneFileError::Unreadable {
        path: directory.to_owned(),
        reason: BadInclude::Unreadable(error.kind()),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != SUFFIX) || !path.is_file() {
            continue;
        }
        let origin = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| Name::parse_typed(stem).ok())
            .ok_or_else(|| ZoneFileError::Origin { path: path.clone() })?;
        found.push((path, origin));
    }
    found.sort();
    Ok(found)
}

/// `$INCLUDE` paths are relative to the file that includes.
struct Beside;

impl Includes for Beside {
    fn open(&self, from: &str, path: &str) -> Result<Included, BadInclude> {
        let path = Path::new(from)
            .parent()
            .unwrap_or_else(|| Path::new(""))
            .join(path);
        let bytes = read(&path)?;
        Ok(Included {
            name: path.display().to_string(),
            bytes,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BadInclude> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => BadInclude::NotFound,
        kind => BadInclude::Unreadable(kind),
    };
    if fs::metadata(path).map_err(failed)?.len() > ZONE_FILE_BYTES_MAX {
        return Err(BadInclude::TooLarge);
    }
    fs::read(path).map_err(failed)
}
