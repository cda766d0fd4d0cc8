//! `kedge scope recovery`: scopes whose anchors are lost.

use hyper::Method;

use crate::adapters::http::wire_recoveries::{
    AnnounceRecoveryBody, ChildBody, RecoveryDelayBody, RecoveryOfferBody, RecoveryOfferView,
    RecoveryView,
};

use super::args_governance::RecoveryCommand;
use super::connect::{Place, segment};
use super::exit::Failure;
use super::name::change;
use super::output::show;
use super::scope::fetch;

pub(super) fn run(place: &Place, what: RecoveryCommand) -> Result<(), Failure> {
    match what {
        RecoveryCommand::Show { name } => {
            let path = format!("/scopes/{}/recovery", segment(&name));
            let view: Option<RecoveryView> =
                place.with_client(|client| async move { Ok(client.get(&path).await?) })?;
            show(place.json, &view, |view| match view {
                Some(view) => lines(view),
                None => vec!["no recovery is announced".to_owned()],
            })
        }
        RecoveryCommand::Delay { name, secs, why } => {
            let scope = fetch(place, &name)?;
            let body = RecoveryDelayBody {
                delay_secs: secs,
                if_epoch: Some(scope.epoch),
                note: why.note,
            };
            let path = format!("/scopes/{}/recovery-delay", segment(&name));
            change(place, Method::PUT, path, body)
        }
        RecoveryCommand::Offer {
            name,
            region,
            after,
        } => {
            let body = RecoveryOfferBody {
                name,
                region,
                after_secs: after,
            };
            let view: RecoveryOfferView = place.with_client(|client| async move {
                Ok(client.send(Method::POST, "/recovery-offers", &body).await?)
            })?;
            show(place.json, &view, |view| vec![view.offer.clone()])
        }
        RecoveryCommand::Announce {
            name,
            offer,
            region,
            after,
            why,
        } => {
            let path = recoveries(&name, "");
            let body = AnnounceRecoveryBody {
                child: name,
                offer,
                region,
                after_secs: after,
                note: why.note,
            };
            change(place, Method::POST, path, body)
        }
        RecoveryCommand::Confirm { name, why } => decide(place, name, "/confirm", why.note),
        RecoveryCommand::Abandon { name, why } => decide(place, name, "/abandon", why.note),
    }
}

fn decide(place: &Place, child: String, word: &str, note: String) -> Result<(), Failure> {
    let path = recoveries(&child, word);
    change(place, Method::POST, path, ChildBody { child, note })
}

/// The scope above decides.
fn recoveries(child: &str, word: &str) -> String {
    let parent = child.split_once('.').map_or("", |(_, parent)| parent);
    format!("/scopes/{}/recoveries{word}", segment(parent))
}

fn lines(view: &RecoveryView) -> Vec<String> {
    vec![
        format!(
            "{}: block {} at height {}",
            view.stage, view.block, view.height
        ),
        format!(
            "  announced {}, can be confirmed from {} on",
            view.announced, view.due
        ),
    ]
}
