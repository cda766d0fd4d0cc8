//! `World`: a node with the demo, called in this process, each reply held to the document.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use jsonschema::Validator;
use kedge::adapters::http::{Via, document};
use kedge::config::Config;
use kedge::node::{Production, assemble, create_demo};
use kedge::service::audit::Auditor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// More than any reply of a small node.
const REPLY_BYTES_MAX: usize = 1 << 22;

pub(crate) struct World {
    runtime: Runtime,
    router: Router,
    _directory: TempDir,
}

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// By the socket.
    Owner,
    /// Over TCP, with nothing to show.
    Nobody,
    Token(String),
    Client(String),
    /// By a way that no server said anything of.
    Unsaid,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let runtime = Runtime::new().unwrap();
        let text = "[legacy]\nupstreams = []\n[audit]\nenabled = true\n\
                    [api]\ncertificate = \"c\"\nkey = \"k\"\nclient-ca = \"a\"\n\
                    [[api.clients]]\nidentity = \"dns:ci.test\"\nrights = [\"read\"]\n\
                    scopes = [\"eu.mesh.internal\"]\n";
        let config = Config::parse(text, Path::new("k.toml"), directory.path()).unwrap();
        let node = assemble(&config, None, Vec::new()).unwrap();
        let (writer, keeper, auditor) = (node.writer, node.keeper, node.auditor);
        std::thread::spawn(move || writer.run());
        std::thread::spawn(move || keeper.run());
        std::thread::spawn(move || auditor.map(Auditor::run));
        runtime
            .block_on(create_demo(&node.api, &node.resolver))
            .unwrap();
        node.api.operations.reload().unwrap();
        Self {
            runtime,
            router: node.router,
            _directory: directory,
        }
    }

    /// A call with JSON, or without a body.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let bytes = body.map(|body| serde_json::to_vec(body).unwrap());
        let content = body.map(|_| "application/json");
        self.send(method, path, content, bytes.unwrap_or_default())
    }

    /// The secret of a token for these rights, at and below these names.
    pub(crate) fn token(&self, rights: &[&str], scopes: &[&str]) -> Caller {
        let body = json!({"rights": rights, "scopes": scopes, "lifetime": 3_600});
        let made = self.call("POST", "/v1/tokens", Some(&body));
        assert_eq!(made.status, 200, "{made:?}");
        Caller::Token(made.json()["secret"].as_str().unwrap().to_owned())
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        content: Option<&str>,
        body: Vec<u8>,
    ) -> Reply {
        self.send_as(&Caller::Owner, (method, path), content, body)
    }

    /// A call by somebody.
    pub(crate) fn send_as(
        &self,
        caller: &Caller,
        (method, path): (&str, &str),
        content: Option<&str>,
        body: Vec<u8>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(content) = content {
            request = request.header("content-type", content);
        }
        let from = SocketAddr::from(([192, 0, 2, 1], 4_711));
        request = match caller {
            Caller::Owner => request.extension(Via::ourselves()),
            Caller::Nobody => request.extension(Via::Tcp {
                from,
                identity: None,
            }),
            Caller::Token(token) => request
                .extension(Via::Tcp {
                    from,
                    identity: None,
                })
                .header("authorization", format!("Bearer {token}")),
            Caller::Client(identity) => request.extension(Via::Tcp {
                from,
                identity: Some(identity.parse().unwrap()),
            }),
            Caller::Unsaid => request,
        };
        let request = request.body(Body::from(body)).unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), REPLY_BYTES_MAX).await;
            Reply {
                status,
                body: body.unwrap().to_vec(),
            }
        })
    }
}

/// One operation of the document.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) value: Value,
}

impl Operation {
    /// The path with something in place of each placeholder.
    pub(crate) fn filled(&self) -> String {
        let parts = self.path.split('/').map(|part| match part {
            "{tag}" => "stable",
            "{token}" => "0123456789abcdef",
            "{device}" => "abcdef01",
            "{instance}" => "web-1",
            "{name}" => "api.eu.mesh.internal",
            "{id}" | "{move}" => "abcdef012345",
            part => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Method and path.
    fn title(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn takes_json(&self) -> bool {
        self.value["requestBody"]["content"]["application/json"].is_object()
    }

    pub(crate) fn documents(&self, status: u16) -> bool {
        self.value["responses"][status.to_string()].is_object()
    }

    /// Whether a path with names in it is of this operation.
    fn is_of(&self, method: &str, path: &str) -> bool {
        let path = path.split('?').next().unwrap();
        let mut parts = path.split('/');
        let mut own = self.path.split('/');
        self.method == method
            && own.by_ref().all(|own| {
                let part = parts.next();
                part == Some(own) || (part.is_some() && own.starts_with('{'))
            })
            && parts.next().is_none()
    }
}

/// The document, and validators of its schemas.
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) operations: Vec<Operation>,
    /// Operations of which a success was held to its schema, by method and path.
    proved: RefCell<BTreeSet<String>>,
}

impl Document {
    pub(crate) fn new() -> Self {
        let value = document::<Production>();
        let mut operations = Vec::new();
        for (path, methods) in value["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    value: operation.clone(),
                });
            }
        }
        Self {
            value,
            operations,
            proved: RefCell::default(),
        }
    }

    /// Operations that no success of was held to its schema yet, in order.
    pub(crate) fn unproved(&self) -> Vec<String> {
        let all = self.operations.iter().map(Operation::title);
        let proved = self.proved.borrow();
        let mut left: Vec<String> = all.filter(|title| !proved.contains(title)).collect();
        left.sort_unstable();
        left
    }

    /// The operation of a call; one without placeholders comes first.
    pub(crate) fn of(&self, method: &str, path: &str) -> &Operation {
        let mut found: Vec<&Operation> = self
            .operations
            .iter()
            .filter(|operation| operation.is_of(method, path))
            .collect();
        found.sort_by_key(|operation| operation.path.matches('{').count());
        found
            .first()
            .copied()
            .unwrap_or_else(|| panic!("{method} {path} is not in the document"))
    }

    /// Holds a reply to what the document says of it.
    pub(crate) fn check(&self, method: &str, path: &str, reply: &Reply) {
        let operation = self.of(method, path);
        let status = reply.status.to_string();
        assert!(
            operation.documents(reply.status),
            "{method} {path}: {status} is not documented: {}",
            String::from_utf8_lossy(&reply.body)
        );
        let mut response = &operation.value["responses"][&status];
        if response["$ref"].is_string() {
            response = &self.value["components"]["responses"]["Error"];
        }
        if reply.status == 200 {
            self.proved.borrow_mut().insert(operation.title());
        }
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            return;
        }
        let body = reply.json();
        let faults: Vec<String> = self
            .validator(schema)
            .iter_errors(&body)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{method} {path}: {faults:#?}\n{body:#}");
    }

    /// A validator that takes no field which the schema does not have.
    fn validator(&self, schema: &Value) -> Validator {
        let mut components = self.value["components"].clone();
        close(&mut components["schemas"]);
        let whole = json!({ "components": components, "allOf": [schema] });
        jsonschema::validator_for(&whole).unwrap()
    }
}

/// Lets no object have more than its properties.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_object = fields.get("properties").is_some_and(Value::is_object)
                && fields.get("type") == Some(&json!("object"));
            if is_object {
                fields
                    .entry("additionalProperties")
                    .or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
