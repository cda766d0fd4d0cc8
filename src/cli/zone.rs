//! `kedge zone`.

use std::path::Path;

use serde::Serialize;

use crate::adapters::http::wire::ZoneView;
use crate::adapters::zone_files;
use crate::namespace::name::Name;

use super::args::ZoneCommand;
use super::connect::Place;
use super::exit::{Code, Failure};
use super::local::usage;
use super::output::show;

#[derive(Serialize)]
struct Judged {
    origin: String,
    serial: u32,
    records: usize,
    warnings: Vec<String>,
}

pub(super) fn run(place: &Place, what: ZoneCommand) -> Result<(), Failure> {
    match what {
        ZoneCommand::List => {
            let zones: Vec<ZoneView> =
                place.with_client(|client| async move { Ok(client.get("/zones").await?) })?;
            show(place.json, &zones, |zones| {
                let line = |zone: &ZoneView| {
                    format!(
                        "{}  serial {}  {} records",
                        zone.origin, zone.serial, zone.records
                    )
                };
                zones.iter().map(line).collect()
            })
        }
        ZoneCommand::Check { file, origin } => check(place, &file, origin.as_deref()),
    }
}

fn check(place: &Place, file: &Path, origin: Option<&str>) -> Result<(), Failure> {
    let told = origin.or_else(|| file.file_stem().and_then(|stem| stem.to_str()));
    let origin: Name = told.unwrap_or_default().parse().map_err(|error| {
        usage(
            format!("{}: {error}", file.display()),
            Some("name it with --origin ZONE"),
        )
    })?;
    let loaded = zone_files::load(file, &origin)
        .map_err(|error| Failure::new(Code::Faults, error.to_string(), None))?;
    let judged = Judged {
        origin: origin.to_string(),
        serial: loaded.zone.serial(),
        records: loaded.zone.record_count(),
        warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
    };
    show(place.json, &judged, |judged| {
        let mut lines: Vec<String> = judged
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}"))
            .collect();
        lines.push(format!(
            "zone {} is valid: serial {}, {} records",
            judged.origin, judged.serial, judged.records
        ));
        lines
    })
}
