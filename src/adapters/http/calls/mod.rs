//! The calls: each stands once in a table, and the router, the rights and the OpenAPI document are
//! made from it.

mod about;
mod bodies;
mod cache;
mod leases;
mod moves;
mod openapi;
mod peers;
mod recoveries;
mod table;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use hyper::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

use crate::base::limits::PROPOSAL_BYTES_MAX;
use crate::service::permission::Right;
use crate::service::ports::Parts;

use super::guard::{Guarded, Room, SMALL_BODY_BYTES_MAX, guard};
use super::routes::Api;
use super::status::Failure;

pub(super) use self::about::{About, Touched, by_entry, by_name, by_proposal, nothing};
pub use self::openapi::document;

/// Writes the schema of a type.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;
/// Reads what a call touches from its query or its body.
type Touches<P, I> = fn(&Api<P>, &I) -> Result<Touched, Failure>;
/// The same for the bytes of a body.
type TouchesBody<P> = Box<dyn Fn(&Api<P>, &[u8]) -> Result<Touched, Failure> + Send + Sync>;

/// What a call takes besides path and query.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    Nothing,
    Json(SchemaOf),
    /// Bytes of a form that docs/FORMATS.md describes.
    Bytes(&'static str),
    /// The same, of any length.
    Stream(&'static str),
}

/// What a call gives.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    Json(SchemaOf),
    Bytes(&'static str),
}

/// How far a call reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// What path, query and body name; without any name, the node itself.
    Named,
    /// The entry that the path names by name or UID, wherever it lives now.
    Entry,
    /// It shows each caller what that caller may see.
    Shown,
}

/// One call.
pub(super) struct Call<P: Parts> {
    pub(super) method: Method,
    /// Below the version; `{name}` is a name, `{id}` a proposal.
    pub(super) path: &'static str,
    /// None for a call that any caller may make who is known.
    pub(super) right: Option<Right>,
    pub(super) summary: &'static str,
    pub(super) query: Option<SchemaOf>,
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    pub(super) reach: Reach,
    pub(super) body_bytes_max: usize,
    pub(super) about_query: Option<Touches<P, Uri>>,
    pub(super) about_body: Option<TouchesBody<P>>,
    route: Option<MethodRouter<Arc<Api<P>>>>,
}

impl<P: Parts> std::fmt::Debug for Call<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// A row of the table; what it takes and gives is added to it.
fn call<P, H, T>(
    (method, path): (Method, &'static str),
    right: impl Into<Option<Right>>,
    summary: &'static str,
    answer: H,
) -> Call<P>
where
    P: Parts,
    H: Handler<T, Arc<Api<P>>>,
    T: 'static,
{
    // Only methods that axum knows stand in the table.
    let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::TRACE);
    Call {
        method,
        path,
        right: right.into(),
        summary,
        query: None,
        takes: Takes::Nothing,
        gives: Gives::Json(schema_of::<serde_json::Value>),
        reach: Reach::Named,
        body_bytes_max: SMALL_BODY_BYTES_MAX,
        about_query: None,
        about_body: None,
        route: Some(on(filter, answer)),
    }
}

fn get<P: Parts, H: Handler<T, Arc<Api<P>>>, T: 'static>(
    path: &'static str,
    right: impl Into<Option<Right>>,
    summary: &'static str,
    answer: H,
) -> Call<P> {
    call((Method::GET, path), right, summary, answer)
}

fn put<P: Parts, H: Handler<T, Arc<Api<P>>>, T: 'static>(
    path: &'static str,
    right: impl Into<Option<Right>>,
    summary: &'static str,
    answer: H,
) -> Call<P> {
    call((Method::PUT, path), right, summary, answer)
}

fn post<P: Parts, H: Handler<T, Arc<Api<P>>>, T: 'static>(
    path: &'static str,
    right: impl Into<Option<Right>>,
    summary: &'static str,
    answer: H,
) -> Call<P> {
    call((Method::POST, path), right, summary, answer)
}

impl<P: Parts> Call<P> {
    /// It has these parameters in its query.
    fn query<Q: About<P>>(mut self) -> Self {
        self.query = Some(|generator| Q::json_schema(generator));
        self.about_query = Some(|api, uri| {
            let query = axum::extract::Query::<Q>::try_from_uri(uri);
            let query = query.map_err(|error| Failure::bad(error.body_text(), None))?;
            query.0.about(api)
        });
        self
    }

    /// It takes this as JSON.
    fn takes<B: About<P>>(self) -> Self {
        self.takes_with::<B>(|api, body| body.about(api))
    }

    /// It takes this as JSON; `about` says what it touches.
    fn takes_with<B: Input>(mut self, about: Touches<P, B>) -> Self {
        self.takes = Takes::Json(schema_of::<B>);
        self.about_body = Some(Box::new(move |api, bytes| {
            about(api, &json_body::<B>(bytes)?)
        }));
        self
    }

    /// It takes canonical bytes that are read whole; `about` says what they touch.
    fn takes_bytes(mut self, what: &'static str, about: Touches<P, [u8]>) -> Self {
        self.takes = Takes::Bytes(what);
        self.about_body = Some(Box::new(about));
        self.large()
    }

    /// It takes bytes of any length, which touch nothing besides what the path names.
    fn takes_stream(mut self, what: &'static str) -> Self {
        self.takes = Takes::Stream(what);
        self
    }

    /// Its body may be as large as a proposal.
    fn large(mut self) -> Self {
        self.body_bytes_max = PROPOSAL_BYTES_MAX;
        self
    }

    /// Its body has at most so many bytes.
    fn body_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// It gives this as JSON.
    fn gives<R: JsonSchema>(mut self) -> Self {
        self.gives = Gives::Json(schema_of::<R>);
        self
    }

    /// It gives bytes.
    fn gives_bytes(mut self, what: &'static str) -> Self {
        self.gives = Gives::Bytes(what);
        self
    }

    /// It is about an entry, by name or UID, wherever that lives now.
    fn of_entry(mut self) -> Self {
        self.reach = Reach::Entry;
        self
    }

    /// It shows each caller what that caller may see.
    fn shown(mut self) -> Self {
        self.reach = Reach::Shown;
        self
    }
}

/// Reads a body as its answer will read it.
fn json_body<B: DeserializeOwned>(bytes: &[u8]) -> Result<B, Failure> {
    serde_json::from_slice(bytes).map_err(|error| Failure::unfit(error.to_string()))
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Whether a type can be a body or a query.
pub(super) trait Input: DeserializeOwned + JsonSchema + 'static {}

impl<T: DeserializeOwned + JsonSchema + 'static> Input for T {}

/// Every call of the table, at its path and behind its guard.
pub(super) fn routes<P: Parts>(api: &Arc<Api<P>>) -> Router<Arc<Api<P>>> {
    let mut router = Router::new();
    let room = Room::default();
    for mut call in table::calls::<P>() {
        let Some(route) = call.route.take() else {
            continue;
        };
        let (path, limit) = (call.path, DefaultBodyLimit::max(call.body_bytes_max));
        let guarded = Guarded {
            api: Arc::clone(api),
            rule: Arc::new(call),
            room: room.clone(),
        };
        let route = route.layer(limit);
        router = router.route(path, route.layer(from_fn_with_state(guarded, guard::<P>)));
    }
    router
}
