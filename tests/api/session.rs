//! A session with every call, each reply held to the document, and no call left out.

use kedge::adapters::clock::SystemClock;
use kedge::service::ports::Clock as _;
use serde_json::{Value, json};

use super::signed;
use super::world::{Document, Reply, World};

/// Calls that only do well where there is a second node; `tests/cli/{mirrors,join,moves}.rs` have one.
const OF_TWO_NODES: [&str; 8] = [
    "POST /v1/joins",
    "POST /v1/mirrors/{name}/stop",
    "POST /v1/moves/{move}/admit",
    "POST /v1/moves/{move}/cancel",
    "POST /v1/moves/{move}/refuse",
    "POST /v1/names/{name}/bring",
    "POST /v1/scopes/{name}/invitations",
    "PUT /v1/mirrors/{name}",
];

/// A node of its own, and the document that all sessions are held to.
pub(super) struct Session<'d> {
    pub(super) world: World,
    pub(super) document: &'d Document,
}

impl Session<'_> {
    pub(super) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let path = format!("/v1{path}");
        let reply = self.world.call(method, &path, body);
        self.document.check(method, &path, &reply);
        reply
    }

    #[track_caller]
    pub(super) fn good(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let reply = self.call(method, path, body);
        assert_eq!(reply.status, 200, "{method} {path}: {reply:?}");
        reply.json()
    }

    #[track_caller]
    fn refused(&self, method: &str, path: &str, body: Option<&Value>, status: u16) {
        let reply = self.call(method, path, body);
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
    }
}

#[test]
fn every_call_gives_what_the_document_says() {
    let document = Document::new();
    let parts: [fn(&Session<'_>); 10] = [
        names_are_read_and_changed,
        scopes_are_governed,
        proposals_wait_and_are_decided,
        instances_are_announced_drained_and_ended,
        tokens_are_made_and_revoked,
        the_node_is_looked_after,
        the_cache_is_looked_at,
        signed::proposals_votes_seats_and_withdrawals,
        signed::leases,
        signed::devices,
    ];
    for part in parts {
        let world = World::new();
        let document = &document;
        part(&Session { world, document });
    }
    let unproved: Vec<String> = document.unproved();
    assert_eq!(unproved, OF_TWO_NODES, "never answered well");
}

fn names_are_read_and_changed(session: &Session<'_>) {
    let name = "/names/new.eu.mesh.internal";
    let put = json!({"type": "A", "data": ["10.0.0.1"], "note": "first"});
    session.good("PUT", name, Some(&put));
    let more = json!({"type": "A", "ttl": 90, "data": ["10.0.0.2"], "add": true});
    let height = session.good("PUT", name, Some(&more))["height"].clone();
    let shown = session.good("GET", name, None);
    assert_eq!(shown["version"], 2);
    session.good("GET", &format!("{name}?at={height}"), None);
    session.good("GET", &format!("{name}/history?limit=1"), None);
    session.good("GET", &format!("{name}/diff?from=1&to=2"), None);
    session.good("GET", &format!("{name}/proof"), None);
    let tag = json!({"version": "1"});
    session.good("PUT", &format!("{name}/tags/stable"), Some(&tag));
    session.good("POST", &format!("{name}/undo"), Some(&json!({})));
    let to = json!({"to": "newer.eu.mesh.internal"});
    session.good("POST", &format!("{name}/rename"), Some(&to));
    let to = json!({"to": "newer.us.mesh.internal"});
    session.good("POST", "/names/newer.eu.mesh.internal/move", Some(&to));
    session.good("GET", "/explain?name=newer.us.mesh.internal&type=A", None);
    session.good(
        "GET",
        "/explain?name=www.eu.mesh.internal&type=A&at=3",
        None,
    );
    session.good(
        "POST",
        "/names/newer.us.mesh.internal/retire",
        Some(&json!({})),
    );
    session.refused("GET", "/names/nope.eu.mesh.internal", None, 404);
    session.refused("GET", "/names/a..b", None, 400);
    session.refused("GET", "/explain?name=a&type=NOTYPE", None, 400);
    let stale = json!({"type": "A", "data": ["10.0.0.3"], "if_version": 99});
    session.refused("PUT", "/names/api.eu.mesh.internal", Some(&stale), 409);
    let alias = json!({"type": "CNAME", "data": ["x.example."]});
    session.refused("PUT", "/names/api.eu.mesh.internal", Some(&alias), 422);
}

fn scopes_are_governed(session: &Session<'_>) {
    let scopes = session.good("GET", "/scopes", None);
    assert_eq!(scopes.as_array().unwrap().len(), 4);
    let eu = session.good("GET", "/scopes/eu.mesh.internal", None);
    session.good("GET", "/scopes/eu.mesh.internal/log?limit=3", None);
    session.good("GET", "/scopes/eu.mesh.internal/trust", None);
    let mut policy = eu["policy"].clone();
    policy["ttl-max"] = json!(3_600);
    let body = json!({"policy": policy});
    session.good("PUT", "/scopes/eu.mesh.internal/policy", Some(&body));
    let key = eu["anchors"][0]["key"].clone();
    let grant = json!({"key": key, "names": "**", "deeds": ["update"]});
    let body = json!({"grants": [grant]});
    session.good("PUT", "/scopes/eu.mesh.internal/grants", Some(&body));
    // Who read the scope before that cannot undo it unseen.
    for part in ["policy", "grants", "anchors"] {
        let mut body = json!({part: eu[part], "if_epoch": eu["epoch"]});
        if part == "anchors" {
            let seats = eu["anchors"].as_array().unwrap().iter();
            let seats: Vec<_> = seats
                .map(|seat| json!({"id": seat["id"], "weight": 1}))
                .collect();
            body["anchors"] = json!(seats);
        }
        let path = format!("/scopes/eu.mesh.internal/{part}");
        session.refused("PUT", &path, Some(&body), 409);
    }
    let now = session.good("GET", "/scopes/eu.mesh.internal", None);
    assert_eq!(now["grants"].as_array().unwrap().len(), 1);
    let body = json!({"grants": [], "if_epoch": now["epoch"]});
    session.good("PUT", "/scopes/eu.mesh.internal/grants", Some(&body));
    let new = json!({"name": "ap.mesh.internal", "region": "ap"});
    session.good("POST", "/scopes", Some(&new));
    let offer = json!({"name": "x.mesh.internal", "parent": eu["uid"]});
    session.good("POST", "/offers", Some(&offer));
    recoveries(session);
    let export = session.call("GET", "/scopes/us.mesh.internal/lineage?tree=true", None);
    assert_eq!(export.status, 200);
    let path = "/v1/scopes/us.mesh.internal/lineage";
    let taken = session.world.send("PUT", path, None, export.body);
    session.document.check("PUT", path, &taken);
    assert_eq!(taken.status, 200, "{taken:?}");
    let path = "/v1/scopes/ap.mesh.internal/import";
    let taken = session.world.send("POST", path, None, signed::import());
    session.document.check("POST", path, &taken);
    assert_eq!(taken.status, 200, "{taken:?}");
    session.refused("GET", "/scopes/nope.mesh.internal", None, 404);
    session.refused(
        "POST",
        "/scopes",
        Some(&json!({"name": "eu.mesh.internal"})),
        409,
    );
}

fn recoveries(session: &Session<'_>) {
    let child = "payments.eu.mesh.internal";
    let about = json!({"child": child});
    let shown = "/scopes/payments.eu.mesh.internal/recovery";
    assert_eq!(session.good("GET", shown, None), json!(null));
    let delay = json!({"delay_secs": 0});
    let path = "/scopes/payments.eu.mesh.internal/recovery-delay";
    session.good("PUT", path, Some(&delay));
    let wish = json!({"name": child, "region": "us", "after_secs": 60});
    let offer = session.good("POST", "/recovery-offers", Some(&wish));
    let body = json!({"child": child, "offer": offer["offer"], "note": "lost"});
    let parent = "/scopes/eu.mesh.internal/recoveries";
    session.good("POST", parent, Some(&body));
    let view = session.good("GET", shown, None);
    assert_eq!(
        (&view["stage"], &view["block"]),
        (&json!("announced"), &offer["block"])
    );
    let confirm = format!("{parent}/confirm");
    session.refused("POST", &confirm, Some(&about), 409);
    session.good("POST", &format!("{parent}/abandon"), Some(&about));
    session.refused("POST", &confirm, Some(&about), 409);
    let body = json!({"child": child, "after_secs": 1});
    session.good("POST", parent, Some(&body));
    let waited = (0..1_000).any(|_| {
        std::thread::park_timeout(std::time::Duration::from_millis(20));
        session.good("GET", shown, None)["stage"] == json!("due")
    });
    assert!(waited, "a recovery did not become due");
    session.good("POST", &confirm, Some(&about));
    // Who decides is named by the path.
    session.refused("POST", "/scopes/mesh.internal/recoveries", Some(&body), 400);
}

fn proposals_wait_and_are_decided(session: &Session<'_>) {
    let seats = json!({"anchors": [
        {"weight": 1, "region": "a"}, {"weight": 1, "region": "b"}, {"weight": 1, "region": "c"},
    ]});
    session.good("PUT", "/scopes/us.mesh.internal/anchors", Some(&seats));
    let us = session.good("GET", "/scopes/us.mesh.internal", None);
    let mut policy = us["policy"].clone();
    policy["routine"] =
        json!({"requirement": "approvals", "weight": 0, "delay": 0, "expiry": 3600});
    let body = json!({"policy": policy});
    session.good("PUT", "/scopes/us.mesh.internal/policy", Some(&body));
    for waiting in session.good("GET", "/proposals", None).as_array().unwrap() {
        let id = waiting["id"].as_str().unwrap();
        session.good(
            "POST",
            &format!("/proposals/{id}/approve"),
            Some(&json!({})),
        );
    }
    let change = json!({"change": "put", "name": "b", "type": "A", "data": ["10.1.0.9"]});
    let draft = json!({"scope": "us.mesh.internal", "changes": [change]});
    session.good("POST", "/drafts", Some(&draft));
    let mut first = String::new();
    for vote in ["approve", "reject", "withdraw"] {
        let proposed = session.good("POST", "/proposals", Some(&draft));
        if proposed["outcome"] != "pending" {
            continue;
        }
        let id = proposed["proposal"].as_str().unwrap();
        session.good("GET", &format!("/proposals/{id}"), None);
        let body = json!({"reason": "as the session goes"});
        let voted = session.call("POST", &format!("/proposals/{id}/{vote}"), Some(&body));
        // The author's own yes came with the proposal: its no is a contradiction.
        let expected = if vote == "reject" { 409 } else { 200 };
        assert_eq!(voted.status, expected, "{vote}: {voted:?}");
        id.clone_into(&mut first);
    }
    assert!(!first.is_empty(), "no proposal waited");
    session.good("GET", "/scopes/us.mesh.internal/log", None);
    session.refused("GET", "/proposals/abcdef0123", None, 404);
    session.refused("POST", "/votes", Some(&json!({"signed": "!"})), 400);
    session.refused("POST", "/withdrawals", Some(&json!({"signed": ""})), 400);
    let seat = json!({"signed": "AAAA"});
    session.refused("POST", "/proposals/abcdef0123/seats", Some(&seat), 400);
    let path = "/v1/proposals/signed";
    let taken = session.world.send("POST", path, None, vec![1, 2]);
    session.document.check("POST", path, &taken);
    assert_eq!(taken.status, 400);
}

fn instances_are_announced_drained_and_ended(session: &Session<'_>) {
    let instances = "/names/api.eu.mesh.internal/instances";
    let one = format!("{instances}/web-1");
    let place = json!({"address": "10.0.0.1", "port": 80, "region": "eu"});
    session.good("PUT", &one, Some(&place));
    session.good("PUT", &format!("{instances}/web-2"), Some(&place));
    let shown = session.good("GET", instances, None);
    assert_eq!(shown["instances"][0]["shown"], true);
    for (verb, condition) in [("drain", "draining"), ("resume", "up"), ("end", "ended")] {
        let changed = session.good("POST", &format!("{one}/{verb}"), Some(&json!({})));
        assert_eq!(changed["condition"], condition);
    }
    session.refused("POST", &format!("{one}/drain"), Some(&json!({})), 404);
    let last = format!("{instances}/web-2/end");
    session.refused("POST", &last, Some(&json!({})), 409);
    session.good("POST", &last, Some(&json!({"may_empty": true})));
    let nowhere = json!({"address": "0.0.0.0", "port": 80});
    session.refused("PUT", &one, Some(&nowhere), 422);
    session.refused("PUT", &format!("{instances}/web_1"), Some(&place), 400);
    session.refused("POST", "/leases", Some(&json!({"signed": "AAAA"})), 400);
}

fn tokens_are_made_and_revoked(session: &Session<'_>) {
    let wish = json!({"rights": ["read"], "lifetime": 60, "note": "for a test"});
    let made = session.good("POST", "/tokens", Some(&wish));
    session.good("GET", "/tokens", None);
    session.good("GET", "/caller", None);
    let id = made["token"]["id"].as_str().unwrap();
    let revoked = session.good("POST", &format!("/tokens/{id}/revoke"), None);
    assert_eq!(revoked["state"], "revoked");
    let long = json!({"rights": ["read"], "lifetime": 1_000_000_000});
    session.refused("POST", "/tokens", Some(&long), 400);
    let wrong = json!({"rights": ["all"], "lifetime": 60});
    session.refused("POST", "/tokens", Some(&wrong), 400);
    session.refused("POST", "/tokens/0123456789abcdef/revoke", None, 404);
}

fn the_cache_is_looked_at(session: &Session<'_>) {
    let line = json!({
        "name": "www.example.com.", "type": "A", "code": "NOERROR", "upstream": "192.0.2.1:53",
        "stored_ms": SystemClock.now().as_millis(),
        "answers": ["www.example.com. 300 IN A 192.0.2.44"],
    });
    let path = "/v1/cache/lines";
    let lines = format!("{line}\n").into_bytes();
    let loaded = session.world.send("POST", path, None, lines);
    session.document.check("POST", path, &loaded);
    assert_eq!(loaded.json()["kept"], 1, "{loaded:?}");
    let held = session.good("GET", "/cache/names/www.example.com", None);
    assert_eq!(held[0]["state"], "fresh");
    let dumped = session.call("GET", "/cache/lines", None);
    let again: Value = serde_json::from_slice(&dumped.body).unwrap();
    assert_eq!(again["answers"], line["answers"]);
    assert_eq!(session.good("GET", "/cache", None)["entries"], 1);
    let flushed = session.good(
        "POST",
        "/cache/flush",
        Some(&json!({"name": "com", "below": true})),
    );
    assert_eq!(flushed["flushed"], 1);
    session.refused("POST", "/cache/flush", Some(&json!({"below": true})), 400);
}

fn the_node_is_looked_after(session: &Session<'_>) {
    for (method, path) in [
        ("GET", "/openapi.json"),
        ("GET", "/status"),
        ("GET", "/doctor"),
        ("GET", "/zones"),
        ("GET", "/audit"),
        ("POST", "/verify"),
        ("POST", "/reload"),
        ("GET", "/node"),
        ("GET", "/peers"),
        ("GET", "/mirrors"),
        ("GET", "/moves"),
    ] {
        session.good(method, path, None);
    }
    session.refused("GET", "/names/nope.eu.mesh.internal", None, 404);
    let records = session.good("GET", "/audit/records?limit=2&since=2026", None);
    let newest = records.as_array().unwrap().last().unwrap();
    assert_eq!(newest["path"], "/v1/names/nope.eu.mesh.internal");
    assert_eq!(records.as_array().unwrap().len(), 2);
    session.refused("GET", "/audit/records?since=noon", None, 400);
    session.refused("GET", "/audit/records?limit=10001", None, 400);
    // A node that does not serve reaches nobody.
    let mirror = json!({ "from": ["eu-1"] });
    session.refused("PUT", "/mirrors/mesh.internal", Some(&mirror), 503);
    session.refused(
        "PUT",
        "/mirrors/mesh.internal",
        Some(&json!({ "from": [] })),
        400,
    );
    session.refused("POST", "/mirrors/mesh.internal/stop", None, 404);
    for word in ["admit", "cancel"] {
        session.refused("POST", &format!("/moves/abcdef012345/{word}"), None, 404);
    }
    let path = "/names/api.eu.mesh.internal/bring";
    session.refused("POST", path, Some(&json!({ "note": "n" })), 404);
    let body = Some(json!({ "reason": "r" }));
    session.refused("POST", "/moves/abcdef012345/refuse", body.as_ref(), 404);
    let seat = json!({ "scope": "eu.mesh.internal" });
    let word = session.good("POST", "/seat-keys", Some(&seat))["word"].clone();
    let invited = json!({ "node": word });
    let path = "/scopes/eu.mesh.internal/invitations";
    session.refused("POST", path, Some(&invited), 503);
    session.refused("POST", path, Some(&json!({ "node": "eu-1" })), 400);
    session.refused("POST", "/joins", Some(&json!({ "ticket": "x" })), 400);
}
