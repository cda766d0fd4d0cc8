//! Calls about the cache of legacy answers.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use crate::base::time::{Timestamp, Ttl};
use crate::namespace::name::Name;
use crate::namespace::rdata::Rdata;
use crate::namespace::record::Record;
use crate::resolution::legacy::{LegacyCode, LegacyQuestion, LegacyReply};
use crate::service::legacy_cache::{Held, HeldReply, Loaded};
use crate::service::ports::{LegacyAnswered, LegacyDns as _, Parts};

use super::render::{read_name, record};
use super::routes::{Node, Reply};
use super::status::Failure;
use super::stream::pieces;
use super::wire_cache::{
    CacheEntryView, CacheLine, CacheView, FlushBody, FlushedView, LoadedView, UpstreamView,
};

/// Lines leave in pieces of about this size.
const PIECE_BYTES: usize = 1 << 16;
/// What is said of the first line that is of no use.
const LINE_SHOWN_CHARS: usize = 80;
/// Who gave an answer, of a line that is loaded.
const UPSTREAM_CHARS_MAX: usize = 256;

/// The cache as a whole.
pub(super) async fn show<P: Parts>(State(api): Node<P>) -> Reply<CacheView> {
    let stats = api.resolver.legacy_stats();
    let upstreams = api.resolver.legacy().upstream().upstreams();
    let upstream = |one: crate::service::legacy_cache::UpstreamStanding| UpstreamView {
        upstream: one.upstream,
        usual_us: one
            .usual
            .map(|usual| u64::try_from(usual.as_micros()).unwrap_or(u64::MAX)),
        answered: one.answered,
        failed: one.failed,
        paused: one.is_paused,
    };
    Ok(Json(CacheView {
        entries: stats.entries,
        bytes: stats.bytes,
        under_way: stats.under_way,
        waiting: stats.waiting,
        hits: stats.hits,
        exchanges: stats.exchanges,
        joined: stats.joined,
        stale: stats.stale,
        failure_hits: stats.failure_hits,
        overloads: stats.overloads,
        sudden_empties: stats.sudden_empties,
        prefetched: stats.prefetched,
        upstreams: upstreams.into_iter().map(upstream).collect(),
    }))
}

/// What is held of a name, a question each.
pub(super) async fn entries<P: Parts>(
    State(api): Node<P>,
    Path(name): Path<String>,
) -> Reply<Vec<CacheEntryView>> {
    let name = read_name(&name)?;
    let legacy = api.resolver.legacy();
    let questions = legacy.questions(Some(&name));
    let held = questions
        .iter()
        .filter_map(|question| legacy.held(question));
    Ok(Json(held.map(|held| view(&held)).collect()))
}

fn view(held: &Held) -> CacheEntryView {
    let reply = held.reply.as_ref();
    let left_secs = reply.map_or(0, HeldReply::left_secs);
    let state = match (reply, left_secs) {
        (None, _) => "failed",
        (Some(_), 0) => "past its time",
        (Some(_), _) => "fresh",
    };
    let remembered = held.failure.as_ref().and_then(|failure| failure.remembered);
    CacheEntryView {
        state: state.to_owned(),
        left_secs,
        age_secs: reply.and_then(|reply| reply.age_secs),
        asked: held.asked,
        bytes: held.bytes,
        failure: held.failure.as_ref().map(ToString::to_string),
        failure_left_secs: remembered.map(|remembered| remembered.left_secs),
        line: line(&held.question, reply),
    }
}

fn line(question: &LegacyQuestion, held: Option<&HeldReply>) -> CacheLine {
    let lines = |section: fn(&LegacyReply) -> &Vec<Record>| {
        let records = held.map(|held| section(&held.reply).iter().map(record));
        records.map_or_else(Vec::new, Iterator::collect)
    };
    CacheLine {
        name: question.name.to_string(),
        kind: question.kind.to_string(),
        dnssec_ok: question.dnssec_ok,
        checking_disabled: question.checking_disabled,
        code: held.map_or_else(String::new, |held| held.reply.code.to_string()),
        upstream: held.map_or_else(String::new, |held| held.upstream.clone()),
        stored_ms: held.map_or(0, |held| held.stored.as_millis()),
        answers: lines(|reply| &reply.answers),
        authorities: lines(|reply| &reply.authorities),
        additionals: lines(|reply| &reply.additionals),
    }
}

/// Forgets everything, or a name, also what listeners keep of it.
pub(super) async fn flush<P: Parts>(
    State(api): Node<P>,
    Json(body): Json<FlushBody>,
) -> Reply<FlushedView> {
    let name = body.name.as_deref().map(read_name).transpose()?;
    if name.is_none() && body.below {
        return Err(Failure::bad("below needs a name", None));
    }
    let flushed = api.resolver.legacy().flush(name.as_ref(), body.below);
    Ok(Json(FlushedView { flushed }))
}

/// Writes every reply that is held, a line each, while questions go on.
pub(super) async fn dump<P: Parts>(State(api): Node<P>) -> Result<Response, Failure> {
    let legacy = api.resolver.legacy();
    let (sender, body) = pieces();
    tokio::task::spawn_blocking(move || {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        for question in legacy.questions(None) {
            let held = legacy.held(&question);
            let Some(reply) = held.and_then(|held| held.reply) else {
                continue;
            };
            // Text into memory; what cannot be written as JSON does not exist here.
            if serde_json::to_writer(&mut piece, &line(&question, Some(&reply))).is_ok() {
                piece.push(b'\n');
            }
            if piece.len() >= PIECE_BYTES {
                let full = Bytes::from(std::mem::take(&mut piece));
                if sender.blocking_send(Ok(full)).is_err() {
                    return;
                }
            }
        }
        drop(sender.blocking_send(Ok(Bytes::from(piece))));
    });
    let content = [(CONTENT_TYPE, "application/octet-stream")];
    Ok((content, Body::new(body)).into_response())
}

/// Takes lines in. One that is of no use does not keep the others out.
pub(super) async fn load<P: Parts>(State(api): Node<P>, body: Bytes) -> Reply<LoadedView> {
    let legacy = Arc::clone(&api.resolver.legacy());
    let mut view = LoadedView::default();
    for text in body.split(|byte| *byte == b'\n') {
        if text.trim_ascii().is_empty() {
            continue;
        }
        let loaded = match read_line(text) {
            Ok((question, answered, stored)) => match legacy.load(&question, answered, stored) {
                Loaded::Unfit(why) => Err(why.to_owned()),
                loaded => Ok(loaded),
            },
            Err(why) => Err(why),
        };
        match loaded {
            Ok(Loaded::Kept) => view.kept += 1,
            Ok(Loaded::Older) => view.older += 1,
            Ok(_) => view.over += 1,
            Err(why) => {
                view.unfit += 1;
                view.first_unfit.get_or_insert_with(|| shown(text, &why));
            }
        }
        // Others have their turn, however many lines there are.
        tokio::task::consume_budget().await;
    }
    Ok(Json(view))
}

fn shown(text: &[u8], why: &str) -> String {
    let text = String::from_utf8_lossy(text);
    let begin: String = text.chars().take(LINE_SHOWN_CHARS).collect();
    format!("{begin}: {why}")
}

/// A line as it is dumped: a question, a reply, and when it came.
fn read_line(text: &[u8]) -> Result<(LegacyQuestion, LegacyAnswered, Timestamp), String> {
    let line: CacheLine = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let name: Name = line
        .name
        .parse()
        .map_err(|error| format!("name: {error}"))?;
    let kind = line
        .kind
        .parse()
        .map_err(|error| format!("type: {error}"))?;
    let code = [LegacyCode::NoError, LegacyCode::NxDomain]
        .into_iter()
        .find(|code| code.to_string() == line.code)
        .ok_or("code: expected NOERROR or NXDOMAIN")?;
    let read = |section: &[String]| -> Result<Vec<Record>, String> {
        section.iter().map(|text| read_record(text)).collect()
    };
    let reply = LegacyReply {
        code,
        authentic: false,
        answers: read(&line.answers)?,
        authorities: read(&line.authorities)?,
        additionals: read(&line.additionals)?,
    };
    let question = LegacyQuestion {
        name,
        kind,
        dnssec_ok: line.dnssec_ok,
        checking_disabled: line.checking_disabled,
    };
    let upstream: String = line.upstream.chars().take(UPSTREAM_CHARS_MAX).collect();
    // Once is enough, however often it is dumped and loaded.
    let upstream = format!("{}, loaded", upstream.trim_end_matches(", loaded"));
    let stored = Timestamp::from_millis(line.stored_ms);
    Ok((question, LegacyAnswered { reply, upstream }, stored))
}

/// `owner TTL IN TYPE data`.
fn read_record(text: &str) -> Result<Record, String> {
    let fault = |why: &dyn std::fmt::Display| format!("record {text:?}: {why}");
    let mut fields = text.splitn(5, ' ');
    let mut next = || {
        fields
            .next()
            .ok_or_else(|| fault(&"owner TTL IN TYPE data"))
    };
    let (owner, ttl, class, kind, rdata) = (next()?, next()?, next()?, next()?, next()?);
    if class != "IN" {
        return Err(fault(&"expected class IN"));
    }
    let owner: Name = owner.parse().map_err(|error| fault(&error))?;
    let ttl: u32 = ttl.parse().map_err(|error| fault(&error))?;
    if ttl > Ttl::MAX.as_secs() {
        return Err(fault(&"the TTL is too large"));
    }
    let kind: crate::namespace::rtype::RecordType = kind.parse().map_err(|error| fault(&error))?;
    if kind.is_meta() {
        return Err(fault(&"no record has such a type"));
    }
    Ok(Record {
        owner,
        kind,
        ttl: Ttl::from_secs(ttl),
        rdata: Rdata::parse(kind, rdata, &Name::root()).map_err(|error| fault(&error))?,
    })
}
