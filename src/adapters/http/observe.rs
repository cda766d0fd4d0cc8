//! `/metrics`, `/health` and `/ready`, for monitoring: plain text, nothing to change, few at a time.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tokio::sync::Semaphore;

use crate::service::observation::{NotNow, Observation};
use crate::telemetry::exposition::MEDIA_TYPE;

use super::caller::Via;
use super::listener::{ApiPatience, ApiRoom};

/// A few monitoring systems and somebody with a browser; each may be in the middle of taking a text
/// of some hundred kilobytes.
pub const OBSERVE_ROOM: ApiRoom = ApiRoom {
    connections_max: 32,
    per_client_max: 8,
};
/// Nobody types these requests.
pub const OBSERVE_PATIENCE: ApiPatience = ApiPatience {
    handshake: Duration::from_secs(5),
    head: Duration::from_secs(10),
    life: Duration::from_hours(1),
};
/// Texts made at a time: each reads the state of every scope.
const RENDERED_AT_ONCE_MAX: usize = 1;

/// What the calls look at.
#[derive(Clone)]
struct Watched {
    observation: Arc<dyn Observation>,
    rendering: Arc<Semaphore>,
}

/// The calls for whoever may call anything.
pub fn observe_calls(observation: Arc<dyn Observation>) -> Router {
    let watched = Watched {
        observation,
        rendering: Arc::new(Semaphore::new(RENDERED_AT_ONCE_MAX)),
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .with_state(watched)
}

/// The calls for those whom the configuration lets look.
pub fn observe_router(observation: &Arc<dyn Observation>) -> Router {
    observe_calls(Arc::clone(observation))
        .fallback(async || {
            let known = "there are /metrics, /health and /ready\n";
            (StatusCode::NOT_FOUND, known)
        })
        .layer(from_fn_with_state(Arc::clone(observation), admitted))
}

async fn admitted(
    State(observation): State<Arc<dyn Observation>>,
    via: Option<Extension<Via>>,
    request: Request,
    next: Next,
) -> Response {
    let from = match via {
        Some(Extension(Via::Tcp { from, .. })) => Some(from.ip()),
        _ => None,
    };
    if from.is_some_and(|from| observation.admits(from)) {
        return next.run(request).await;
    }
    let why = "this address is not among [observe] clients\n";
    (StatusCode::FORBIDDEN, why).into_response()
}

async fn metrics(State(watched): State<Watched>) -> Response {
    // Whoever waits holds a connection, and there are few of them.
    let place = Arc::clone(&watched.rendering).acquire_owned().await;
    // Somebody who is gone must not let two be made at a time.
    let rendered = tokio::task::spawn_blocking(move || {
        let text = watched.observation.metrics();
        drop(place);
        text
    });
    match rendered.await {
        Ok(Ok(text)) => {
            let mut response = text.into_response();
            let kind = HeaderValue::from_static(MEDIA_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Ok(Err(why)) => not_now(&why),
        Err(error) => not_now(&NotNow(error.to_string())),
    }
}

async fn health(State(watched): State<Watched>) -> Response {
    said(watched.observation.alive(), "alive\n")
}

async fn ready(State(watched): State<Watched>) -> Response {
    // Whether the store can be read is part of it.
    let looked = tokio::task::spawn_blocking(move || watched.observation.ready());
    let looked = looked.await;
    said(
        looked.unwrap_or_else(|error| Err(NotNow(error.to_string()))),
        "ready\n",
    )
}

fn said(how: Result<(), NotNow>, well: &'static str) -> Response {
    match how {
        Ok(()) => well.into_response(),
        Err(why) => not_now(&why),
    }
}

fn not_now(why: &NotNow) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}
