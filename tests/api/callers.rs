//! Who may call what: every operation, without a token, with another right, and for another scope.

use serde_json::{Value, json};

use super::world::{Caller, Document, Operation, Reply, World};

const RIGHTS: &[&str] = &[
    "read", "propose", "vote", "govern", "announce", "prove", "operate", "admin",
];
/// Calls that show each caller what that caller may see.
const SHOWN: &[&str] = &[
    "/v1/openapi.json",
    "/v1/caller",
    "/v1/scopes",
    "/v1/proposals",
];

fn right(operation: &Operation) -> Option<&str> {
    operation.value["x-right"].as_str()
}

/// A body that an operation takes, about names below eu.mesh.internal.
fn body(world: &World, operation: &Operation) -> Option<Value> {
    let scope = || {
        world
            .call("GET", "/v1/scopes/eu.mesh.internal", None)
            .json()
    };
    let change = json!({"change": "put", "name": "b", "type": "A", "data": ["10.0.0.1"]});
    let path = operation.path.as_str();
    Some(match path.rsplit('/').next().unwrap() {
        "rename" | "move" => json!({"to": "other.eu.mesh.internal"}),
        "retire" | "undo" | "bring" | "approve" | "reject" | "withdraw" | "renew" | "devices"
        | "{tag}" | "flush" => json!({}),
        "policy" => json!({"policy": scope()["policy"]}),
        "grants" => json!({"grants": []}),
        "anchors" => json!({"anchors": []}),
        "drafts" | "proposals" => json!({"scope": "eu.mesh.internal", "changes": [change]}),
        "scopes" => json!({"name": "new.eu.mesh.internal"}),
        "offers" => json!({"name": "new.eu.mesh.internal", "parent": scope()["uid"]}),
        "recovery-offers" => json!({"name": "eu.mesh.internal"}),
        "recoveries" | "confirm" | "abandon" => json!({"child": "payments.eu.mesh.internal"}),
        "recovery-delay" => json!({"delay_secs": 60}),
        "seat-keys" => json!({"scope": "eu.mesh.internal"}),
        "invitations" => json!({"node": "eu-1"}),
        "joins" => json!({"ticket": "kedge-ticket-1:"}),
        "tokens" => json!({"rights": ["read"], "lifetime": 60}),
        "challenge" => json!({"scope": scope()["uid"], "handle": "00".repeat(32)}),
        "{name}" => json!({"type": "A", "data": ["10.0.0.1"]}),
        _ => return None,
    })
}

fn call(world: &World, caller: &Caller, operation: &Operation) -> Reply {
    let mut path = operation.filled();
    if path == "/v1/explain" {
        path.push_str("?name=api.eu.mesh.internal&type=A");
    }
    if path.ends_with("/diff") {
        path.push_str("?from=1");
    }
    if operation.path.starts_with("/v1/scopes/") {
        path = path.replace("api.eu", "eu");
    }
    let content = operation.takes_json().then_some("application/json");
    let body = if operation.takes_json() {
        body(world, operation)
    } else {
        None
    };
    let bytes = body.map(|body| serde_json::to_vec(&body).unwrap());
    let at = (operation.method.as_str(), path.as_str());
    world.send_as(caller, at, content, bytes.unwrap_or_default())
}

#[test]
fn without_a_token_nothing_is_answered() {
    for operation in &Document::new().operations {
        // A node each: after some failures one is told nothing any more.
        thread_local! { static WORLD: World = World::new(); }
        let reply = WORLD.with(|world| call(world, &Caller::Nobody, operation));
        assert!(
            matches!(reply.status, 401 | 429),
            "{operation:?}: {reply:?}"
        );
        assert!(reply.json()["error"].is_string());
    }
}

#[test]
fn a_call_of_which_nobody_said_where_it_came_from_is_refused() {
    let world = World::new();
    let reply = world.send_as(&Caller::Unsaid, ("GET", "/v1/status"), None, Vec::new());
    assert_eq!(reply.status, 500);
}

#[test]
fn all_other_rights_together_are_not_enough() {
    let world = World::new();
    let others: Vec<(&str, Caller)> = RIGHTS
        .iter()
        .map(|right| {
            let mut others = RIGHTS.to_vec();
            others.retain(|other| other != right);
            (*right, world.token(&others, &[]))
        })
        .collect();
    for operation in &Document::new().operations {
        let Some(right) = right(operation) else {
            continue;
        };
        let (_, caller) = others.iter().find(|(known, _)| *known == right).unwrap();
        let reply = call(&world, caller, operation);
        assert_eq!(reply.status, 403, "{operation:?}: {reply:?}");
        let error = reply.json()["error"].to_string();
        assert!(error.contains(right), "{error}");
    }
}

#[test]
fn the_right_for_another_scope_is_not_enough() {
    let world = World::new();
    let caller = world.token(RIGHTS, &["us.mesh.internal"]);
    for operation in &Document::new().operations {
        if SHOWN.contains(&operation.path.as_str()) && operation.method == "GET" {
            continue;
        }
        let reply = call(&world, &caller, operation);
        let path = &operation.path;
        // What names no scope before it is decoded is refused for what it is.
        let undecided = path.contains("{id}")
            || ["signed", "votes", "withdrawals", "leases", "proof"]
                .iter()
                .any(|end| path.ends_with(end) && !path.contains("{name}"));
        if undecided {
            assert!(
                matches!(reply.status, 400 | 403 | 422),
                "{operation:?}: {reply:?}"
            );
        } else {
            assert_eq!(reply.status, 403, "{operation:?}: {reply:?}");
        }
    }
}

#[test]
fn the_right_for_the_scope_is_enough() {
    let world = World::new();
    let caller = world.token(RIGHTS, &["eu.mesh.internal"]);
    for operation in &Document::new().operations {
        let path = operation.path.as_str();
        let about_names = path.contains("{name}") || path == "/v1/explain" || path == "/v1/drafts";
        if !about_names || operation.method != "GET" && path != "/v1/drafts" {
            continue;
        }
        let reply = call(&world, &caller, operation);
        assert_ne!(reply.status, 403, "{operation:?}: {reply:?}");
        assert_ne!(reply.status, 401, "{operation:?}: {reply:?}");
    }
    let put = json!({"type": "A", "data": ["10.0.0.9"]});
    let at = ("PUT", "/v1/names/new.eu.mesh.internal");
    let bytes = serde_json::to_vec(&put).unwrap();
    let reply = world.send_as(&caller, at, Some("application/json"), bytes);
    assert_eq!(reply.status, 200, "{reply:?}");
    let place = serde_json::to_vec(&json!({"address": "10.0.0.9", "port": 80})).unwrap();
    for (at, status) in [
        ("/v1/names/new.eu.mesh.internal/instances/one", 200),
        ("/v1/names/api.us.mesh.internal/instances/one", 403),
    ] {
        let json = Some("application/json");
        let reply = world.send_as(&caller, ("PUT", at), json, place.clone());
        assert_eq!(reply.status, status, "{at}: {reply:?}");
    }
}

/// What a caller of eu.mesh.internal reads of names beyond it.
fn reads(uid: &str) -> Vec<String> {
    let paths = [
        &format!("names/{uid}/history"),
        &format!("names/{uid}/diff?from=1"),
        "names/internal@mesh.us%2Fapi",
        "names/_v1._ver.api.us.mesh.internal",
        "names/internal@mesh.us%2Fapi.v1",
        "names/eu.mesh.internal.us.mesh.internal",
        "scopes/mesh.internal",
        "scopes/mesh.internal/lineage?tree=true",
        "explain?name=api.us.mesh.internal&type=A",
        "explain?name=lead.eu.mesh.internal&type=A",
        "explain?name=view%20internal@mesh.us%2Fapi&type=A",
        "explain?name=example.com&type=A",
        "status",
        "tokens",
    ];
    paths.map(|path| format!("/v1/{path}")).to_vec()
}

/// The same of changes: path and body.
fn changes() -> Vec<(&'static str, Value)> {
    let retire = json!({"change": "retire", "name": "api"});
    let rename = json!({"change": "rename", "name": "x.eu", "to": "x.us"});
    vec![
        (
            "names/api.eu.mesh.internal/rename",
            json!({"to": "x.us.mesh.internal"}),
        ),
        (
            "names/api.eu.mesh.internal/move",
            json!({"to": "x.us.mesh.internal"}),
        ),
        (
            "names/api.us.mesh.internal/move",
            json!({"to": "x.eu.mesh.internal"}),
        ),
        ("scopes", json!({"name": "x.us.mesh.internal"})),
        (
            "scopes",
            json!({"name": "x.eu.mesh.internal", "apex": true}),
        ),
        (
            "drafts",
            json!({"scope": "us.mesh.internal", "changes": [retire]}),
        ),
        (
            "proposals",
            json!({"scope": "mesh.internal", "changes": [rename]}),
        ),
        (
            "proposals",
            json!({"scope": "us.mesh.internal", "changes": []}),
        ),
        ("reload", json!({})),
    ]
}

#[test]
fn no_detour_leads_beyond_the_scope() {
    let world = World::new();
    let caller = world.token(RIGHTS, &["eu.mesh.internal"]);
    let shown = world.call("GET", "/v1/names/api.us.mesh.internal", None);
    let uid = shown.json()["uid"].clone();
    let alias = json!({"type": "CNAME", "data": ["api.us.mesh.internal."]});
    let put = world.call("PUT", "/v1/names/lead.eu.mesh.internal", Some(&alias));
    assert_eq!(put.status, 200);
    for path in reads(uid.as_str().unwrap()) {
        let reply = world.send_as(&caller, ("GET", path.as_str()), None, Vec::new());
        assert_eq!(reply.status, 403, "{path}: {reply:?}");
    }
    for (path, body) in changes() {
        let path = format!("/v1/{path}");
        let bytes = serde_json::to_vec(&body).unwrap();
        let at = ("POST", path.as_str());
        let reply = world.send_as(&caller, at, Some("application/json"), bytes);
        assert_eq!(reply.status, 403, "{path} {body}: {reply:?}");
    }
    let lineage = "/v1/scopes/x.eu.mesh.internal/lineage?apex=true";
    let reply = world.send_as(&caller, ("PUT", lineage), None, Vec::new());
    assert_eq!(reply.status, 403, "{reply:?}");
    let scopes = world.send_as(&caller, ("GET", "/v1/scopes"), None, Vec::new());
    let names: Vec<Value> = scopes.json().as_array().unwrap().clone();
    let names: Vec<&str> = names
        .iter()
        .map(|scope| scope["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["eu.mesh.internal.", "payments.eu.mesh.internal."]);
}

#[test]
fn a_certificate_has_the_rights_that_the_configuration_gives() {
    let world = World::new();
    let ci = Caller::Client("dns:ci.test".to_owned());
    let get = |caller: &Caller, path: &str| world.send_as(caller, ("GET", path), None, Vec::new());
    assert_eq!(get(&ci, "/v1/names/api.eu.mesh.internal").status, 200);
    assert_eq!(get(&ci, "/v1/names/api.us.mesh.internal").status, 403);
    let who = get(&ci, "/v1/caller").json();
    assert_eq!(
        (&who["by"], &who["id"]),
        (&json!("certificate"), &json!("dns:ci.test"))
    );
    let other = Caller::Client("dns:other.test".to_owned());
    assert_eq!(get(&other, "/v1/caller").status, 401);
}

#[test]
fn too_many_failures_are_told_nothing_more_and_good_callers_still_get_through() {
    let world = World::new();
    let good = world.token(&["read"], &[]);
    let bad = Caller::Token("kedge_0".to_owned());
    let get = |caller: &Caller| world.send_as(caller, ("GET", "/v1/status"), None, Vec::new());
    let statuses: Vec<u16> = (0..12).map(|_| get(&bad).status).collect();
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 2]);
    assert_eq!(get(&good).status, 200);
    assert_eq!(get(&Caller::Nobody).status, 429);
}

#[test]
fn an_admin_token_makes_none_that_may_do_more() {
    let world = World::new();
    let admin = world.token(&["admin", "read"], &[]);
    let make = |rights: &[&str]| {
        let body = json!({"rights": rights, "lifetime": 60});
        let bytes = serde_json::to_vec(&body).unwrap();
        let at = ("POST", "/v1/tokens");
        world
            .send_as(&admin, at, Some("application/json"), bytes)
            .status
    };
    assert_eq!(make(&["read"]), 200);
    assert_eq!(make(&["govern"]), 403);
}
