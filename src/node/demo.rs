//! The demo: an apex with nested scopes and services, made through the same pipeline as any
//! change, so that a first start has something to answer.

use crate::adapters::http::Api;
use crate::adapters::storage::StoreError;
use crate::base::time::Ttl;
use crate::governance::op::SetChange;
use crate::index::place::held_apexes;
use crate::index::view::IndexView;
use crate::namespace::name::Name;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::RecordSet;
use crate::namespace::rtype::RecordType;
use crate::service::changes::{PlanError, Put};
use crate::service::ports::Store;
use crate::service::resolver::Resolver;

use super::Production;

/// The apex of the demo; set aside for private use, and thus never asked of the outside.
const APEX: &str = "mesh.internal.";

/// Scopes below the apex, parents first, with the region of their anchor.
const SCOPES: &[(&str, &str)] = &[
    ("eu.mesh.internal.", "eu"),
    ("us.mesh.internal.", "us"),
    ("payments.eu.mesh.internal.", "eu"),
];

/// TTL of the demo's services: short, as for anything that may be moved.
const SERVICE_TTL: Ttl = Ttl::from_secs(30);

/// Names with type and data; several rows of one name and type make one set.
const RECORDS: &[(&str, &str, &str)] = &[
    ("mesh.internal.", "NS", "ns.mesh.internal."),
    ("ns.mesh.internal.", "A", "127.0.0.1"),
    ("api.eu.mesh.internal.", "A", "10.1.0.10"),
    ("api.eu.mesh.internal.", "A", "10.1.0.11"),
    ("api.eu.mesh.internal.", "AAAA", "fd00:1::10"),
    ("www.eu.mesh.internal.", "CNAME", "api.eu.mesh.internal."),
    (
        "_https._tcp.api.eu.mesh.internal.",
        "SRV",
        "10 60 443 api.eu.mesh.internal.",
    ),
    ("db.eu.mesh.internal.", "A", "10.1.0.20"),
    ("db.eu.mesh.internal.", "TXT", "\"role=primary\""),
    ("*.preview.eu.mesh.internal.", "A", "10.1.0.30"),
    ("ledger.payments.eu.mesh.internal.", "A", "10.1.8.10"),
    (
        "ledger.payments.eu.mesh.internal.",
        "HTTPS",
        "1 . alpn=h2 port=8443",
    ),
    ("api.us.mesh.internal.", "A", "10.2.0.10"),
    ("db.us.mesh.internal.", "A", "10.2.0.20"),
    ("docs.mesh.internal.", "CNAME", "www.legacy.example."),
];

/// Whether the store holds nothing yet.
pub fn is_new(resolver: &Resolver<Production>) -> Result<bool, StoreError> {
    Ok(resolver.store().latest().scope_count()? == 0)
}

/// Creates the demo. The writer must be running.
pub async fn create_demo(
    api: &Api<Production>,
    resolver: &Resolver<Production>,
) -> Result<(), PlanError> {
    let name = |text: &str| {
        text.parse::<Name>()
            .map_err(|error| PlanError::NoPlace(format!("{text}: {error}")))
    };
    let apex = name(APEX)?;
    api.changes.found_apex(&apex, "home").await?;
    let apexes = held_apexes(resolver.store().latest().as_ref())
        .map_err(|error| PlanError::NoPlace(error.to_string()))?;
    for (scope, region) in SCOPES {
        api.changes
            .found_scope(&apexes, &name(scope)?, region, "demo")
            .await?;
    }
    for rows in RECORDS.chunk_by(|a, b| a.0 == b.0) {
        let Some((owner, _, _)) = rows.first() else {
            continue;
        };
        let mut changes = Vec::new();
        for set in rows.chunk_by(|a, b| a.1 == b.1) {
            changes.push(SetChange::Put(record_set(set)?));
        }
        let put = Put {
            changes,
            if_version: None,
            may_empty: false,
            note: "demo".to_owned(),
        };
        api.changes.put(&apexes, &name(owner)?, put).await?;
    }
    Ok(())
}

fn record_set(rows: &[(&str, &str, &str)]) -> Result<RecordSet, PlanError> {
    let wrong = |error: &dyn std::fmt::Display| PlanError::NoPlace(error.to_string());
    let kind = rows.first().map_or("", |row| row.1);
    let kind: RecordType = kind.parse().map_err(|error| wrong(&error))?;
    let records = rows
        .iter()
        .map(|row| Rdata::parse(kind, row.2, &Name::root()).map_err(|error| wrong(&error)))
        .collect::<Result<_, _>>()?;
    RecordSet::new(kind, SERVICE_TTL, records).map_err(|error| wrong(&error))
}
