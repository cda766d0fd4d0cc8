//! The table: one row a call.

use crate::service::audit::Record;
use crate::service::permission::Right::{Admin, Govern, Operate, Propose, Prove, Read, Vote};
use crate::service::ports::Parts;

use super::super::lineage::RestoredView;
use super::super::wire_devices::{
    ChallengeBody, ChallengeView, DeviceView, EnrolBody, EnrolledView, ProofBody, ProofView,
    RenewBody, RevokedView,
};
use super::super::wire_government::{AnchorsBody, GrantsBody, PolicyBody, TrustView};
use super::super::wire_moves::{BringBody, MoveView};
use super::super::wire_past::DiffView;
use super::super::wire_proposals::{DraftBody, DraftView, SignedBody, VoteBody, WaitingView};
use super::super::wire_tokens::{CallerView, NewTokenBody, NewTokenView, TokenView};
use super::super::{
    audited, devices, government, lineage, names, past, proposals, routes, scopes, tokens, wire,
};
use super::{Call, Touched, bodies, get, post, put};

/// Every call. A new one is a row in a group, or a group here.
pub(super) fn calls<P: Parts>() -> Vec<Call<P>> {
    let groups = [
        node_calls(),
        name_reads(),
        name_changes(),
        scope_reads(),
        scope_changes(),
        proposal_calls(),
        vote_calls(),
        device_calls(),
        super::cache::calls(),
        super::leases::calls(),
        super::peers::calls(),
        super::moves::calls(),
        super::recoveries::calls(),
        caller_calls(),
    ];
    groups.into_iter().flatten().collect()
}

fn node_calls<P: Parts>() -> Vec<Call<P>> {
    vec![
        get(
            "/openapi.json",
            None,
            "This document",
            super::openapi::serve::<P>,
        )
        .shown(),
        get("/status", Read, "The node as a whole", routes::status::<P>)
            .gives::<wire::StatusView>(),
        get(
            "/explain",
            Read,
            "Why a question gets its answer, or got it",
            routes::explain::<P>,
        )
        .query::<routes::ExplainQuery>()
        .gives::<wire::ExplainView>(),
        get("/doctor", Operate, "Findings", routes::doctor::<P>).gives::<Vec<wire::FindingView>>(),
        post(
            "/verify",
            Operate,
            "Recomputes everything from genesis",
            routes::verify::<P>,
        )
        .gives::<wire::VerifyView>(),
        post(
            "/reload",
            Operate,
            "Reads configuration and zones again",
            routes::reload::<P>,
        )
        .gives::<Vec<String>>(),
        get(
            "/audit",
            Operate,
            "Writes what waits for the audit log, and says how the log is",
            audited::flush::<P>,
        )
        .gives::<Option<wire::AuditView>>(),
        get(
            "/audit/records",
            Operate,
            "The newest records of the audit log",
            audited::records::<P>,
        )
        .query::<audited::RecordsQuery>()
        .gives::<Vec<Record>>(),
        get(
            "/zones",
            Operate,
            "The zone files served",
            routes::zones::<P>,
        )
        .gives::<Vec<wire::ZoneView>>(),
    ]
}

fn name_reads<P: Parts>() -> Vec<Call<P>> {
    vec![
        get(
            "/names/{name}",
            Read,
            "What a name, or one version of it, holds or held",
            past::get::<P>,
        )
        .query::<past::GetQuery>()
        .of_entry()
        .gives::<wire::NameView>(),
        get(
            "/names/{name}/history",
            Read,
            "Versions of an entry, newest first",
            names::history::<P>,
        )
        .query::<names::HistoryQuery>()
        .of_entry()
        .gives::<wire::HistoryView>(),
        get(
            "/names/{name}/diff",
            Read,
            "What differs between two versions",
            past::diff::<P>,
        )
        .query::<past::DiffQuery>()
        .of_entry()
        .gives::<DiffView>(),
        get(
            "/names/{name}/proof",
            Read,
            "A proof of what the name holds",
            names::proof::<P>,
        )
        .gives::<wire::ProofView>(),
    ]
}

fn name_changes<P: Parts>() -> Vec<Call<P>> {
    vec![
        put(
            "/names/{name}",
            Propose,
            "Registers a name, or changes one record set",
            names::put::<P>,
        )
        .takes::<wire::PutBody>()
        .gives::<wire::DoneView>(),
        post(
            "/names/{name}/rename",
            Propose,
            "Another name in the same scope",
            names::rename::<P>,
        )
        .takes::<wire::RenameBody>()
        .gives::<wire::DoneView>(),
        post(
            "/names/{name}/move",
            Propose,
            "Another name in another scope",
            super::super::moves::relocate::<P>,
        )
        .takes::<wire::RenameBody>()
        .gives::<wire::DoneView>(),
        post(
            "/names/{name}/bring",
            Propose,
            "Brings an entry that left to the node of its new scope, if that move was forgotten",
            super::super::moves::bring::<P>,
        )
        .takes::<BringBody>()
        .gives::<MoveView>(),
        post(
            "/names/{name}/retire",
            Propose,
            "Ends a name",
            names::retire::<P>,
        )
        .takes::<wire::RetireBody>()
        .gives::<wire::DoneView>(),
        post(
            "/names/{name}/undo",
            Propose,
            "Gives a name the record sets of an older version again",
            names::undo::<P>,
        )
        .takes::<wire::UndoBody>()
        .of_entry()
        .gives::<wire::DoneView>(),
        put(
            "/names/{name}/tags/{tag}",
            Propose,
            "Gives a tag to a version, or takes it away",
            names::tag::<P>,
        )
        .takes::<wire::TagBody>()
        .gives::<wire::DoneView>(),
    ]
}

fn scope_reads<P: Parts>() -> Vec<Call<P>> {
    vec![
        get("/scopes", Read, "The scopes held", scopes::list::<P>)
            .shown()
            .gives::<Vec<wire::ScopeView>>(),
        get("/scopes/{name}", Read, "One scope", scopes::show::<P>).gives::<wire::ScopeView>(),
        get(
            "/scopes/{name}/log",
            Read,
            "Blocks, newest first",
            scopes::log::<P>,
        )
        .query::<scopes::LogQuery>()
        .gives::<Vec<wire::BlockView>>(),
        get(
            "/scopes/{name}/trust",
            Read,
            "How each anchor voted",
            government::trust::<P>,
        )
        .gives::<Vec<TrustView>>(),
        get(
            "/scopes/{name}/lineage",
            Read,
            "The whole lineage",
            lineage::export::<P>,
        )
        .query::<lineage::ExportQuery>()
        .gives_bytes("an export"),
    ]
}

fn scope_changes<P: Parts>() -> Vec<Call<P>> {
    vec![
        post(
            "/scopes",
            Govern,
            "A new scope, or a new apex",
            scopes::create::<P>,
        )
        .takes::<wire::NewScopeBody>()
        .gives::<wire::DoneView>(),
        post(
            "/offers",
            Govern,
            "An offer to govern a scope whose parent another node holds",
            scopes::offer::<P>,
        )
        .takes::<wire::OfferBody>()
        .gives::<wire::OfferView>(),
        put(
            "/scopes/{name}/policy",
            Govern,
            "Another policy",
            government::set_policy::<P>,
        )
        .takes::<PolicyBody>()
        .gives::<wire::DoneView>(),
        put(
            "/scopes/{name}/grants",
            Govern,
            "Replaces the grants",
            government::set_grants::<P>,
        )
        .takes::<GrantsBody>()
        .gives::<wire::DoneView>(),
        put(
            "/scopes/{name}/anchors",
            Govern,
            "Replaces the anchors",
            government::set_anchors::<P>,
        )
        .takes::<AnchorsBody>()
        .gives::<wire::DoneView>(),
        post(
            "/scopes/{name}/import",
            Propose,
            "Registers many names",
            scopes::import::<P>,
        )
        .takes_bytes("an import", |_, _| Ok(Touched::NOTHING))
        .gives::<wire::DoneView>(),
        put(
            "/scopes/{name}/lineage",
            Govern,
            "Takes an export in",
            lineage::import::<P>,
        )
        .query::<lineage::ImportQuery>()
        .takes_stream("an export")
        .gives::<RestoredView>(),
    ]
}

fn proposal_calls<P: Parts>() -> Vec<Call<P>> {
    vec![
        post(
            "/drafts",
            Propose,
            "What changes would do; a proposal to sign",
            proposals::draft::<P>,
        )
        .takes::<DraftBody>()
        .large()
        .gives::<DraftView>(),
        get(
            "/proposals",
            Read,
            "What waits for approvals",
            proposals::list::<P>,
        )
        .shown()
        .gives::<Vec<WaitingView>>(),
        post(
            "/proposals",
            Propose,
            "Proposes changes with a key of this node",
            proposals::propose::<P>,
        )
        .takes::<DraftBody>()
        .large()
        .gives::<wire::DoneView>(),
        post(
            "/proposals/signed",
            Propose,
            "Takes a proposal that somebody signed elsewhere",
            proposals::submit::<P>,
        )
        .takes_bytes("a signed proposal", bodies::signed_proposal)
        .gives::<wire::DoneView>(),
        get(
            "/proposals/{id}",
            Read,
            "One proposal that waits",
            proposals::show::<P>,
        )
        .gives::<WaitingView>(),
    ]
}

fn vote_calls<P: Parts>() -> Vec<Call<P>> {
    vec![
        post(
            "/proposals/{id}/approve",
            Vote,
            "Approves with seats of this node",
            proposals::approve::<P>,
        )
        .takes::<VoteBody>()
        .gives::<wire::DoneView>(),
        post(
            "/proposals/{id}/reject",
            Vote,
            "Objects with seats of this node",
            proposals::reject::<P>,
        )
        .takes::<VoteBody>()
        .gives::<wire::DoneView>(),
        post(
            "/proposals/{id}/withdraw",
            Propose,
            "Takes back what a key of this node proposed",
            proposals::withdraw::<P>,
        )
        .takes::<VoteBody>()
        .gives::<wire::DoneView>(),
        post(
            "/proposals/{id}/seats",
            Vote,
            "A signature that accepts a seat",
            proposals::seat::<P>,
        )
        .takes_with::<SignedBody>(|_, _| Ok(Touched::NOTHING))
        .gives::<wire::DoneView>(),
        post(
            "/votes",
            Vote,
            "Takes a vote that somebody signed elsewhere",
            proposals::vote::<P>,
        )
        .takes_with::<SignedBody>(bodies::signed_vote)
        .gives::<wire::DoneView>(),
        post(
            "/withdrawals",
            Propose,
            "Takes a withdrawal that somebody signed elsewhere",
            proposals::take_back::<P>,
        )
        .takes_with::<SignedBody>(bodies::signed_withdrawal)
        .gives::<wire::DoneView>(),
    ]
}

fn device_calls<P: Parts>() -> Vec<Call<P>> {
    let max = devices::DEVICE_BODY_BYTES_MAX;
    vec![
        post(
            "/devices/challenge",
            Prove,
            "A device asks for a challenge",
            devices::challenge::<P>,
        )
        .takes::<ChallengeBody>()
        .body_max(max)
        .gives::<ChallengeView>(),
        post(
            "/devices/proof",
            Prove,
            "A device proves itself",
            devices::prove::<P>,
        )
        .takes::<ProofBody>()
        .body_max(max)
        .gives::<ProofView>(),
        get(
            "/scopes/{name}/devices",
            Read,
            "The devices of a private scope",
            devices::list::<P>,
        )
        .gives::<Vec<DeviceView>>(),
        post(
            "/scopes/{name}/devices",
            Govern,
            "Enrols a device",
            devices::enrol::<P>,
        )
        .takes::<EnrolBody>()
        .body_max(max)
        .gives::<EnrolledView>(),
        post(
            "/scopes/{name}/devices/{device}/revoke",
            Govern,
            "Revokes a device",
            devices::revoke::<P>,
        )
        .gives::<RevokedView>(),
        post(
            "/scopes/{name}/devices/{device}/renew",
            Govern,
            "Gives a device another chain",
            devices::renew::<P>,
        )
        .takes::<RenewBody>()
        .body_max(max)
        .gives::<EnrolledView>(),
    ]
}

fn caller_calls<P: Parts>() -> Vec<Call<P>> {
    vec![
        get(
            "/caller",
            None,
            "Who calls, and what the caller may do",
            tokens::caller,
        )
        .shown()
        .gives::<CallerView>(),
        get(
            "/tokens",
            Admin,
            "The tokens, without their secrets",
            tokens::list::<P>,
        )
        .gives::<Vec<TokenView>>(),
        post(
            "/tokens",
            Admin,
            "Makes a token, and shows its secret once",
            tokens::make::<P>,
        )
        .takes::<NewTokenBody>()
        .gives::<NewTokenView>(),
        post(
            "/tokens/{token}/revoke",
            Admin,
            "Revokes a token for ever",
            tokens::revoke::<P>,
        )
        .gives::<TokenView>(),
    ]
}
