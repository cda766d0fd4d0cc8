//! What stands before each call: its right, its names, and the room that its body takes. Denied is
//! what nothing here allows.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, RawPathParams, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::limits::PROPOSAL_BYTES_MAX;
use crate::service::permission::Permission;
use crate::service::ports::Parts;

use super::caller::Caller;
use super::calls::{Call, Reach, Takes, Touched, by_entry, by_name, by_proposal};
use super::routes::Api;
use super::status::Failure;

/// What large bodies are counted in.
const UNIT_BYTES: usize = 1 << 20;
/// Bytes of large bodies at one time, until what they asked for is done: four of the largest. Each
/// takes a few times as much memory while it is decoded and waits.
const LARGE_BYTES_MAX: usize = 4 * PROPOSAL_BYTES_MAX;
/// How long a large body waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);
/// A body up to this size needs no room of its own.
pub(super) const SMALL_BODY_BYTES_MAX: usize = 1 << 20;

/// The room for large bodies.
#[derive(Debug, Clone)]
pub(super) struct Room {
    units: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            units: Arc::new(Semaphore::new(LARGE_BYTES_MAX / UNIT_BYTES)),
            patience: ROOM_PATIENCE,
        }
    }
}

impl Room {
    /// Waits for room for so many bytes.
    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Failure> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let taken = Arc::clone(&self.units).acquire_many_owned(units);
        match tokio::time::timeout(self.patience, taken).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) | Err(_) => Err(Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "other large bodies are still being worked on",
                Some("try again in a moment"),
            )),
        }
    }
}

/// What a guard knows.
pub(super) struct Guarded<P: Parts> {
    pub(super) api: Arc<Api<P>>,
    pub(super) rule: Arc<Call<P>>,
    pub(super) room: Room,
}

impl<P: Parts> Clone for Guarded<P> {
    fn clone(&self) -> Self {
        Self {
            api: Arc::clone(&self.api),
            rule: Arc::clone(&self.rule),
            room: self.room.clone(),
        }
    }
}

/// Lets a call pass that its caller may make.
pub(super) async fn guard<P: Parts>(
    State(guarded): State<Guarded<P>>,
    request: Request,
    next: Next,
) -> Response {
    match admitted(&guarded, request).await {
        Ok((request, room)) => {
            let response = next.run(request).await;
            drop(room);
            response
        }
        Err(failure) => failure.into_response(),
    }
}

async fn admitted<P: Parts>(
    guarded: &Guarded<P>,
    request: Request,
) -> Result<(Request, Option<OwnedSemaphorePermit>), Failure> {
    let rule = guarded.rule.as_ref();
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return Err(Failure::internal("nobody said who calls"));
    };
    if let Some(right) = rule.right
        && !caller.permission.has(right)
    {
        let error = format!("the call needs the right {right}");
        let hint =
            Some("`kedge token new --right ...` on the node makes a token with other rights");
        return Err(Failure::new(StatusCode::FORBIDDEN, error, hint));
    }
    let (mut parts, mut body) = request.into_parts();
    let permission = &caller.permission;
    let mut touched = Touched::NOTHING;
    if !permission.is_everywhere() && rule.reach != Reach::Shown {
        let path = RawPathParams::from_request_parts(&mut parts, &()).await;
        let path = path.map_err(|error| Failure::bad(error.body_text(), None))?;
        touched = touched_by_path(guarded, &path, &parts.uri)?;
        allow(permission, &touched)?;
    }
    if !matches!(rule.takes, Takes::Json(_) | Takes::Bytes(_)) {
        if !permission.is_everywhere() && rule.reach != Reach::Shown {
            allow_named(permission, &touched)?;
        }
        return Ok((Request::from_parts(parts, body), None));
    }
    let room = room(guarded, &parts.headers).await?;
    let bytes = to_bytes(body, rule.body_bytes_max).await;
    let bytes = bytes.map_err(|error| unread(&error, rule.body_bytes_max))?;
    // A list of the fields without their names would do, too, and nobody documents that.
    let is_list = bytes.trim_ascii_start().first() == Some(&b'[');
    if matches!(rule.takes, Takes::Json(_)) && is_list {
        return Err(Failure::unfit("the body is a list; expected an object"));
    }
    if !permission.is_everywhere() && rule.reach != Reach::Shown {
        let Some(about) = &rule.about_body else {
            return Err(Failure::internal("nobody said what the body is about"));
        };
        touched = touched.and(about(&guarded.api, &bytes)?);
        allow_named(permission, &touched)?;
    }
    body = Body::from(bytes);
    Ok((Request::from_parts(parts, body), room))
}

/// Waits for the room that a large body takes; one without a length takes that of the largest.
async fn room<P: Parts>(
    guarded: &Guarded<P>,
    headers: &HeaderMap,
) -> Result<Option<OwnedSemaphorePermit>, Failure> {
    let max = guarded.rule.body_bytes_max;
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let bytes = length.unwrap_or(max);
    if bytes > max {
        return Err(too_large(max));
    }
    if bytes <= SMALL_BODY_BYTES_MAX {
        return Ok(None);
    }
    guarded.room.take(bytes).await.map(Some)
}

fn too_large(max: usize) -> Failure {
    let error = format!("the body has more than the {max} bytes that the call takes");
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, error, None)
}

/// A body that is too long, too slow or broken off.
fn unread(error: &axum::Error, max: usize) -> Failure {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return too_large(max);
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && error.kind() == std::io::ErrorKind::TimedOut
        {
            return Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body came too slowly",
                None,
            );
        }
        source = error.source();
    }
    Failure::bad(format!("the body broke off: {error}"), None)
}

/// What a call touches by its path and its query.
fn touched_by_path<P: Parts>(
    guarded: &Guarded<P>,
    path: &RawPathParams,
    uri: &Uri,
) -> Result<Touched, Failure> {
    let (api, rule) = (guarded.api.as_ref(), guarded.rule.as_ref());
    let mut touched = Touched::NOTHING;
    for (placeholder, text) in path {
        touched = touched.and(match (placeholder, rule.reach) {
            ("name", Reach::Entry) => by_entry(api, text)?,
            ("name", _) => by_name(text)?,
            ("id", _) => by_proposal(api, text)?,
            // What belongs to the name before it.
            ("tag" | "device" | "instance", _) => Touched::NOTHING,
            // What is not known to be a name is not any scope's.
            _ => Touched::Node,
        });
    }
    if let Some(about) = &rule.about_query {
        touched = touched.and(about(api, uri)?);
    }
    Ok(touched)
}

/// As [`allow`], and what names nothing at all is about the node.
fn allow_named(permission: &Permission, touched: &Touched) -> Result<(), Failure> {
    if *touched == Touched::NOTHING {
        return allow(permission, &Touched::Node);
    }
    allow(permission, touched)
}

fn allow(permission: &Permission, touched: &Touched) -> Result<(), Failure> {
    let scopes = || {
        let scopes = permission.scopes().iter().map(ToString::to_string);
        scopes.collect::<Vec<_>>().join(", ")
    };
    let covered = match touched {
        Touched::Node => false,
        Touched::Names(names) => names.iter().all(|name| permission.covers(name)),
    };
    if covered {
        return Ok(());
    }
    // What an identity or an old name leads to is nobody's business who may not see it.
    let error = format!(
        "the call is about the node itself, or about names that the caller's rights, which hold \
         for {} alone, do not cover",
        scopes()
    );
    let hint = Some("a token without --scope holds everywhere");
    Err(Failure::new(StatusCode::FORBIDDEN, error, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_bodies_wait_for_room_and_are_refused_when_there_is_none() {
        let room = Room {
            patience: Duration::from_millis(20),
            ..Room::default()
        };
        let mut held = Vec::new();
        for _ in 0..LARGE_BYTES_MAX / PROPOSAL_BYTES_MAX {
            held.push(room.take(PROPOSAL_BYTES_MAX).await.unwrap());
        }
        let refused = room.take(UNIT_BYTES + 1).await.unwrap_err();
        let response = refused.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(held.pop());
        drop(room.take(PROPOSAL_BYTES_MAX).await.unwrap());
    }
}
