//! Calls about scopes whose anchors are lost.

use axum::Json;
use axum::extract::{Path, State};

use crate::base::text_form::TextForm as _;
use crate::governance::recovery::RecoveryOffer;
use crate::namespace::name::Name;
use crate::service::changes::{Reform, Takers};
use crate::service::ports::Parts;

use super::names::done;
use super::render::read_name;
use super::routes::{Node, Reply};
use super::status::Failure;
use super::wire;
use super::wire_recoveries::{
    AnnounceRecoveryBody, ChildBody, RecoveryDelayBody, RecoveryOfferBody, RecoveryOfferView,
    RecoveryView,
};

pub(super) async fn offer<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<RecoveryOfferBody>,
) -> Reply<RecoveryOfferView> {
    let name = read_name(&body.name)?;
    let takers = Takers {
        region: body.region,
        after_secs: body.after_secs,
    };
    let apexes = &api.resolver.setup().apexes;
    let offer = api.changes.offer_recovery(apexes, &name, &takers).await?;
    let keys = offer.next().anchors.anchors().iter();
    Ok(Json(RecoveryOfferView {
        scope: offer.scope().to_string(),
        height: offer.block().height,
        block: offer.block().digest().to_string(),
        due: offer.block().time.to_string(),
        key: keys.map(|anchor| anchor.vote_key.to_string()).collect(),
        offer: offer.to_text(),
    }))
}

pub(super) async fn announce<P: Parts>(
    State(api): Node<P>,
    Path(parent): Path<String>,
    Json(body): Json<AnnounceRecoveryBody>,
) -> Reply<wire::DoneView> {
    let child = child_of(&parent, &body.child)?;
    let apexes = &api.resolver.setup().apexes;
    let offer = match body.offer {
        Some(_) if !body.region.is_empty() || body.after_secs.is_some() => {
            let hint = "the node that made the offer said where its anchor runs, and when";
            let error = "an offer goes with neither region nor time";
            return Err(Failure::bad(error.to_owned(), Some(hint)));
        }
        Some(text) => RecoveryOffer::from_text(&text).map_err(|error| {
            let hint = Some("`kedge scope recovery offer` prints offers");
            Failure::bad(format!("the offer does not decode: {error}"), hint)
        })?,
        None => {
            let takers = Takers {
                region: body.region,
                after_secs: body.after_secs,
            };
            api.changes.offer_recovery(apexes, &child, &takers).await?
        }
    };
    let changed = api
        .changes
        .announce_recovery(apexes, &child, offer, &body.note)
        .await?;
    done(&api, &changed).map(Json)
}

pub(super) async fn confirm<P: Parts>(
    State(api): Node<P>,
    Path(parent): Path<String>,
    Json(body): Json<ChildBody>,
) -> Reply<wire::DoneView> {
    let child = child_of(&parent, &body.child)?;
    let apexes = &api.resolver.setup().apexes;
    let changes = &api.changes;
    let changed = changes.confirm_recovery(apexes, &child, &body.note).await?;
    done(&api, &changed).map(Json)
}

pub(super) async fn abandon<P: Parts>(
    State(api): Node<P>,
    Path(parent): Path<String>,
    Json(body): Json<ChildBody>,
) -> Reply<wire::DoneView> {
    let child = child_of(&parent, &body.child)?;
    let apexes = &api.resolver.setup().apexes;
    let changes = &api.changes;
    let changed = changes.abandon_recovery(apexes, &child, &body.note).await?;
    done(&api, &changed).map(Json)
}

pub(super) async fn set_delay<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
    Json(body): Json<RecoveryDelayBody>,
) -> Reply<wire::DoneView> {
    let name = read_name(&name)?;
    let reform = (Reform::RecoveryDelay(body.delay_secs), body.if_epoch);
    let apexes = &api.resolver.setup().apexes;
    let changed = api
        .changes
        .reform(apexes, &name, reform, &body.note)
        .await?;
    done(&api, &changed).map(Json)
}

pub(super) async fn show<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
) -> Reply<Option<RecoveryView>> {
    let name = read_name(&name)?;
    let apexes = &api.resolver.setup().apexes;
    let shown = api.changes.recovery_of(apexes, &name)?;
    Ok(Json(shown.map(|(said, stage)| RecoveryView {
        stage: stage.to_string(),
        block: said.block.to_string(),
        height: said.height,
        announced: said.announced.to_string(),
        due: said.due.to_string(),
    })))
}

/// The name of a scope directly below another: what the caller may do is judged by the parent.
fn child_of(parent: &str, child: &str) -> Result<Name, Failure> {
    let (parent, child) = (read_name(parent)?, read_name(child)?);
    if child.parent().as_ref() != Some(&parent) {
        let hint = Some("the scope above it decides: its name is one label shorter");
        let error = format!("{child} is no scope directly below {parent}");
        return Err(Failure::bad(error, hint));
    }
    Ok(child)
}
