//! The document and the router say the same.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::world::{Document, World};

#[test]
fn every_operation_reaches_an_answer() {
    let (world, document) = (World::new(), Document::new());
    assert!(document.operations.len() > 30);
    for operation in &document.operations {
        let reply = world.call(&operation.method, &operation.filled(), None);
        let said = String::from_utf8_lossy(&reply.body).into_owned();
        assert_ne!(reply.status, 405, "{operation:?}: {said}");
        assert!(!said.contains("no such call"), "{operation:?}: {said}");
        document.check(&operation.method, &operation.filled(), &reply);
    }
}

#[test]
fn no_call_is_served_that_is_not_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/adapters/http");
    let mut folders = vec![folder.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).unwrap().contains(".route(") {
                found.push(path);
            }
        }
    }
    found.sort();
    // What monitoring asks is no call of the API: it changes nothing, and has listeners of its own.
    assert_eq!(
        found,
        ["calls/mod.rs", "observe.rs"].map(|file| folder.join(file))
    );
}

#[test]
fn identifiers_are_unique_and_every_reference_leads_somewhere() {
    let document = Document::new();
    let ids: Vec<&str> = document
        .operations
        .iter()
        .map(|operation| operation.value["operationId"].as_str().unwrap())
        .collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len());
    let text = document.value.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.value.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn wrong_input_gets_the_documented_status_as_json() {
    let (world, document) = (World::new(), Document::new());
    for operation in document.operations.iter().filter(|o| o.takes_json()) {
        let (method, path) = (&operation.method, &operation.filled());
        let json = Some("application/json");
        for (content, body, status) in [
            (json, &b"{\"nothing\": 1}"[..], 422),
            (json, b"[]", 422),
            (json, b"{", 400),
            (json, b"", 400),
            (Some("text/plain"), b"{}", 415),
            (None, b"{}", 415),
        ] {
            let reply = world.send(method, path, content, body.to_vec());
            assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
            document.check(method, path, &reply);
        }
        let large = vec![b' '; (64 << 20) + 1];
        let reply = world.send(method, path, json, large);
        assert_eq!(reply.status, 413, "{method} {path}: {reply:?}");
        document.check(method, path, &reply);
    }
}

#[test]
fn a_query_with_wrong_fields_is_refused_as_json() {
    let (world, document) = (World::new(), Document::new());
    let with_query = document.operations.iter().filter(|operation| {
        let parameters = operation.value["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|one| one["in"] == "query"))
    });
    let mut count = 0;
    for operation in with_query {
        let path = format!("{}?nothing=1", operation.filled());
        let reply = world.call(&operation.method, &path, None);
        assert_eq!(reply.status, 400, "{operation:?}: {reply:?}");
        document.check(&operation.method, &path, &reply);
        count += 1;
    }
    assert!(count >= 7, "{count}");
}

#[test]
fn a_wrong_path_or_method_is_refused_as_json() {
    let world = World::new();
    for (method, path, status) in [
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/v2/status", 404),
        ("PUT", "/v1/status", 405),
        ("DELETE", "/v1/names/a.mesh.internal", 405),
        ("PATCH", "/v1/scopes", 405),
    ] {
        let reply = world.call(method, path, None);
        assert_eq!(reply.status, status, "{method} {path}");
        let body = reply.json();
        assert!(
            body["error"].is_string() && body["hint"].is_string(),
            "{body}"
        );
    }
}

#[test]
fn the_document_is_served() {
    let world = World::new();
    let reply = world.call("GET", "/v1/openapi.json", None);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json(), Document::new().value);
    assert_eq!(reply.json()["openapi"], json!("3.1.0"));
}
