//! Commands that need no running node: serve, init, check, config.

use serde::Serialize;

use crate::config::DEFAULT_TEXT;
use crate::node::StartError;
use crate::node::{
    Sockets, assemble, create_demo, go_on_as_user, guard_parts, is_new, key_files, legacy_sources,
    load_zones, node_key, secure, serve as serve_node, signer, zone_sources,
};
use crate::service::audit::Auditor;

use super::args::ConfigCommand;
use super::connect::{Place, runtime};
use super::exit::{Code, Failure};
use super::logging;
use super::output::{complain, print, print_json, show};

pub(super) fn serve(place: &Place) -> Result<(), Failure> {
    let config = place.config()?;
    logging::start(&config.log);
    let json = config.log.json;
    let say = move |line: &str| {
        // In JSON logs every line of standard error is JSON.
        if json {
            tracing::info!("{line}");
        } else {
            complain(&format!("kedge: {line}"));
        }
    };
    let sockets = Sockets::open(&config)?;
    // While there is one thread.
    go_on_as_user(&config)?;
    let wanted = (config, place.file.clone());
    runtime()?.block_on(serve_node(wanted, sockets, say))?;
    Ok(())
}

pub(super) fn init(place: &Place) -> Result<(), Failure> {
    let config = place.config()?;
    logging::start(&config.log);
    go_on_as_user(&config)?;
    let runtime = runtime()?;
    let made = runtime.block_on(async {
        let node = assemble(&config, place.file.clone(), Vec::new())?;
        let new = is_new(&node.resolver).map_err(StartError::from)?;
        node_key(&config).map_err(StartError::from)?;
        let (writer, keeper, auditor) = (node.writer, node.keeper, node.auditor);
        let writing = std::thread::spawn(move || writer.run());
        let keeping = std::thread::spawn(move || keeper.run());
        let auditing = std::thread::spawn(move || auditor.map(Auditor::run));
        let demo = if new && config.demo {
            Some(create_demo(&node.api, &node.resolver).await)
        } else {
            None
        };
        drop((node.api, node.router, node.responder, node.resolver));
        drop((node.following, node.chair));
        drop(writing.join());
        drop(keeping.join());
        drop(auditing.join());
        demo.transpose()
            .map_err(StartError::from)
            .map(|demo| (new, demo.is_some()))
    });
    let (new, demo) = made?;
    let made = Made {
        directory: config.data_directory.display().to_string(),
        created: new,
        demo,
    };
    show(place.json, &made, |made| {
        let path = &made.directory;
        vec![match (made.created, made.demo) {
            (true, true) => format!("created {path} with the demo apex mesh.internal."),
            (true, false) => format!("created {path}; `kedge scope new NAME --apex` makes an apex"),
            (false, _) => format!("{path} exists already; nothing was changed"),
        }]
    })
}

/// What `init` did.
#[derive(Serialize)]
struct Made {
    directory: String,
    created: bool,
    demo: bool,
}

/// What `check` found.
#[derive(Serialize)]
struct Judged {
    addresses: usize,
    zones: usize,
    records: usize,
    rules: usize,
    keys: usize,
}

pub(super) fn check(place: &Place) -> Result<(), Failure> {
    let config = place.config()?;
    let sources = zone_sources(&config)?;
    let zones = load_zones(&sources)?;
    for zone in &zones {
        zone.warnings
            .iter()
            .for_each(|warning| complain(&format!("warning: {warning}")));
    }
    legacy_sources(&config)?;
    secure(&config)?;
    guard_parts(&config)?;
    let keys = key_files(&config)
        .and_then(|files| files.load())
        .map_err(StartError::from)?;
    let signer = signer(&config);
    let signed_for = signer
        .map_or(Ok(Vec::new()), |signer| signer.keys())
        .map_err(StartError::from)?;
    let judged = Judged {
        addresses: config.dns.len(),
        zones: zones.len(),
        records: zones.iter().map(|loaded| loaded.zone.record_count()).sum(),
        rules: config.rules.len(),
        keys: keys.len() + signed_for.len(),
    };
    show(place.json, &judged, |judged| {
        vec![format!(
            "the configuration is valid: {} address(es), {} zone(s) with {} record(s), {} \
             fall-back rule(s), {} key(s)",
            judged.addresses, judged.zones, judged.records, judged.rules, judged.keys
        )]
    })
}

pub(super) fn config(place: &Place, what: &ConfigCommand) -> Result<(), Failure> {
    match what {
        ConfigCommand::Default if place.json => {
            let values: toml::Table = toml::from_str(DEFAULT_TEXT)
                .map_err(|error| Failure::new(Code::Failed, error.to_string(), None))?;
            print_json(&values)
        }
        ConfigCommand::Default => print(DEFAULT_TEXT.trim_end()),
    }
}

/// A fault that is the caller's.
pub(super) fn usage(message: impl Into<String>, hint: Option<&str>) -> Failure {
    Failure::new(Code::Usage, message, hint)
}
