//! The OpenAPI document, made from the table of calls.

use std::collections::BTreeMap;

use axum::Json;
use hyper::Method;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::service::permission::Right;
use crate::service::ports::Parts;

use super::super::wire::{ErrorBody, PREFIX};
use super::table::calls;
use super::{Call, Gives, SchemaOf, Takes};

/// Where the document keeps the types that it names.
const SCHEMAS: &str = "/components/schemas";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// Gives the document.
pub(super) async fn serve<P: Parts>() -> Json<Value> {
    Json(document::<P>())
}

/// The document: every call with what it takes, what it gives and the right it needs.
pub fn document<P: Parts>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = SCHEMAS.into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let error = generator.subschema_for::<ErrorBody>();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for call in calls::<P>() {
        let method = call.method.as_str().to_ascii_lowercase();
        let operation = operation(&call, &mut generator);
        let path = format!("{PREFIX}{}", call.path);
        paths.entry(path).or_default().insert(method, operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Kedge admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Reads and changes the names, scopes and proposals of a node.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "certificate": [] }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": {
                "Error": {
                    "description": "The call was not done; the body says why.",
                    "content": { JSON: { "schema": error } },
                },
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token that `kedge token new` printed.",
                },
                "certificate": {
                    "type": "mutualTLS",
                    "description": "A client certificate whose identity the configuration names.",
                },
            },
        },
    })
}

fn operation<P: Parts>(call: &Call<P>, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = placeholders(call.path);
    parameters.extend(query_parameters(call.query, generator));
    let needs = match call.right {
        Some(right) => format!("Needs the right `{right}`."),
        None => "Needs no right.".to_owned(),
    };
    let mut operation = Map::new();
    let mut say = |key: &str, value: Value| operation.insert(key.to_owned(), value);
    say("operationId", json!(operation_id(&call.method, call.path)));
    say("summary", json!(call.summary));
    say("description", json!(needs));
    say("tags", json!([tag(call.path)]));
    say("x-right", json!(call.right.map(Right::word)));
    if !parameters.is_empty() {
        say("parameters", json!(parameters));
    }
    if let Some(content) = content(call.takes, generator) {
        say(
            "requestBody",
            json!({ "required": true, "content": content }),
        );
    }
    let given = match call.gives {
        Gives::Json(schema) => json!({ JSON: { "schema": schema(generator) } }),
        Gives::Bytes(what) => bytes(what),
    };
    let mut responses = Map::new();
    let done = json!({ "description": "Done.", "content": given });
    responses.insert("200".to_owned(), done);
    for status in failures(call) {
        let error = json!({ "$ref": "#/components/responses/Error" });
        responses.insert(status.to_string(), error);
    }
    say("responses", Value::Object(responses));
    Value::Object(operation)
}

/// The codes by which a call may fail.
fn failures<P: Parts>(call: &Call<P>) -> Vec<u16> {
    let mut codes = vec![401, 403, 429, 500, 503];
    let has_input = call.query.is_some() || call.path.contains('{');
    let is_change = call.method != Method::GET;
    if has_input || is_change {
        codes.extend([400, 404]);
    }
    if is_change {
        codes.extend([409, 422]);
    }
    match call.takes {
        Takes::Nothing | Takes::Stream(_) => {}
        Takes::Json(_) => codes.extend([408, 413, 415]),
        Takes::Bytes(_) => codes.extend([408, 413]),
    }
    codes.sort_unstable();
    codes
}

fn content(takes: Takes, generator: &mut SchemaGenerator) -> Option<Value> {
    match takes {
        Takes::Nothing => None,
        Takes::Json(schema) => Some(json!({ JSON: { "schema": schema(generator) } })),
        Takes::Bytes(what) | Takes::Stream(what) => Some(bytes(what)),
    }
}

fn bytes(what: &str) -> Value {
    let description = format!("Bytes of {what}; docs/FORMATS.md describes them.");
    json!({ BYTES: { "schema": { "description": description } } })
}

/// What stands in braces in a path.
fn placeholders(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let description = match name {
            "name" => "A DNS name or an alias; for an entry its UID, too.",
            "tag" => "A tag.",
            "token" => "The 16 digits of a token's identifier.",
            "device" => "A device, as the list of devices names it.",
            "id" => "The digest of a proposal, or its first digits.",
            "move" => "The digest of a petition, or its first digits.",
            _ => "",
        };
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": description,
            "schema": { "type": "string" },
        })
    };
    names.map(parameter).collect()
}

/// The fields of a query's type, a parameter each.
fn query_parameters(query: Option<SchemaOf>, generator: &mut SchemaGenerator) -> Vec<Value> {
    let Some(query) = query else {
        return Vec::new();
    };
    let schema = query(generator).to_value();
    let required = schema.get("required").and_then(Value::as_array).cloned();
    let required = required.unwrap_or_default();
    let fields = schema.get("properties").and_then(Value::as_object).cloned();
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema
            .as_object_mut()
            .and_then(|fields| fields.remove("description"));
        json!({
            "name": name,
            "in": "query",
            "required": required.contains(&json!(name)),
            "description": description.unwrap_or_default(),
            "schema": schema,
        })
    };
    fields
        .unwrap_or_default()
        .into_iter()
        .map(parameter)
        .collect()
}

/// Such as `get-names-name-history`.
fn operation_id(method: &Method, path: &str) -> String {
    let words = path.split(['/', '.']).filter(|word| !word.is_empty());
    let words = words.map(|word| word.trim_matches(['{', '}']).to_owned());
    let method = method.as_str().to_ascii_lowercase();
    std::iter::once(method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("-")
}

/// The first word of a path.
fn tag(path: &str) -> &str {
    let first = path.split('/').find(|word| !word.is_empty());
    match first.unwrap_or_default() {
        word @ ("names" | "scopes" | "proposals" | "tokens" | "devices") => word,
        "offers" | "recovery-offers" => "scopes",
        "drafts" | "votes" | "withdrawals" => "proposals",
        _ => "node",
    }
}
