//! An API server in memory, as a service under the real client: objects with versions and uids, one watch, reviews of tokens and rights.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::broadcast;

type Key = (String, String, String);
type Answer = Response<BoxBody<Bytes, Infallible>>;

/// The cluster.
#[derive(Clone)]
pub struct Cluster(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changes: broadcast::Sender<String>,
    down: AtomicBool,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Value>,
    version: u64,
    /// Whose a token is: name and audience.
    tokens: BTreeMap<String, (String, String)>,
    /// Who may what: user, verb, resource, namespace.
    rights: Vec<(String, String, String, String)>,
    asked: Vec<String>,
    /// A kind of which nothing is accepted.
    refused: Option<String>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State { version: 100, ..State::default() }),
            changes: broadcast::Sender::new(64),
            down: AtomicBool::new(false),
        }))
    }
}

impl Cluster {
    /// The real client, with this cluster at its end.
    pub fn client(&self) -> kube::Client {
        let cluster = self.clone();
        kube::Client::new(tower::service_fn(move |request: Request<Body>| cluster.clone().answer(request)), "crucible")
    }

    /// From now on nothing answers, until told otherwise.
    pub fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    /// From now on nothing of this kind is accepted.
    pub fn refuse(&self, resource: &str) {
        self.state().refused = Some(resource.to_owned());
    }

    /// A token, whose it is, and for which audience it was issued.
    pub fn add_token(&self, token: &str, user: &str, audience: &str) {
        self.state().tokens.insert(token.to_owned(), (user.to_owned(), audience.to_owned()));
    }

    /// A token that is not valid any more.
    pub fn remove_token(&self, token: &str) {
        self.state().tokens.remove(token);
    }

    /// Lets somebody do something.
    pub fn allow(&self, user: &str, verb: &str, resource: &str, namespace: &str) {
        self.state().rights.push((user.to_owned(), verb.to_owned(), resource.to_owned(), namespace.to_owned()));
    }

    /// Every write so far, as `METHOD resource/name`.
    pub fn writes(&self) -> Vec<String> {
        self.state().asked.iter().filter(|line| !line.starts_with("GET") && !line.contains("reviews")).cloned().collect()
    }

    /// Everything that was asked so far, as `METHOD resource/name`; lists and watches are left out.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.iter().filter(|line| !line.ends_with('/')).cloned().collect()
    }

    /// How often rights or tokens were asked about.
    pub fn reviews(&self) -> usize {
        self.state().asked.iter().filter(|line| line.contains("reviews")).count()
    }

    /// An object, where it is there.
    pub fn find(&self, resource: &str, name: &str) -> Option<Value> {
        self.state().objects.get(&key(resource, "crucible", name)).cloned()
    }

    /// Takes an object away with what belongs to it, as somebody else would.
    pub fn remove(&self, resource: &str, name: &str) {
        let path = if resource == "secrets" { "/api/v1".to_owned() } else { "/apis/crucible.dev/v1alpha1".to_owned() };
        let asked = Asked { dry: false, merge: false, label: None, sent: &Value::Null };
        let (code, _) = self.carry_out(&Method::DELETE, &format!("{path}/namespaces/crucible/{resource}/{name}"), &asked);
        assert_eq!(code, 200, "{resource}/{name}");
    }

    /// Puts an object there, as somebody else would.
    pub fn put(&self, resource: &str, namespace: &str, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.keep(&mut self.state(), &key(resource, namespace, &name), object.clone());
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn keep(&self, state: &mut State, key: &Key, mut object: Value) -> Value {
        state.version += 1;
        let event = if state.objects.contains_key(key) { "MODIFIED" } else { "ADDED" };
        // What is written anew without a uid is the object that was there.
        let uid = state.objects.get(key).map_or_else(|| json!(format!("uid-{}", state.version)), |known| known["metadata"]["uid"].clone());
        let defaults = json!({"namespace": key.1, "name": key.2, "uid": uid, "creationTimestamp": "2026-01-05T08:00:00Z"});
        for (field, value) in defaults.as_object().unwrap() {
            if object["metadata"][field].is_null() {
                object["metadata"][field] = value.clone();
            }
        }
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        if let Some(fields) = object.as_object_mut() {
            for (name, text) in fields.remove("stringData").unwrap_or_default().as_object().cloned().unwrap_or_default() {
                object["data"][name] = json!(BASE64_STANDARD.encode(text.as_str().unwrap()));
            }
        }
        state.objects.insert(key.clone(), object.clone());
        if key.0 == "testruns" {
            // Nobody may be watching.
            let _ = self.0.changes.send(format!("{}\n", json!({"type": event, "object": object})));
        }
        object
    }

    fn answer(self, request: Request<Body>) -> BoxFuture<'static, Result<Answer, tower::BoxError>> {
        Box::pin(async move {
            if self.0.down.load(Ordering::SeqCst) {
                return Err("connection refused".into());
            }
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
            let query = head.uri.query().unwrap_or_default();
            if query.contains("watch=true") {
                return Ok(self.watch());
            }
            let merge = head.headers.get("content-type").is_some_and(|kind| kind == "application/merge-patch+json");
            let asked = Asked { dry: query.contains("dryRun=All"), merge, label: label_of(query), sent: &sent };
            let (code, value) = self.carry_out(&head.method, head.uri.path(), &asked);
            let body = Full::new(Bytes::from(value.to_string())).boxed();
            Ok(Response::builder().status(StatusCode::from_u16(code).unwrap()).header("content-type", "application/json").body(body).unwrap())
        })
    }

    fn watch(&self) -> Answer {
        let changes = stream::unfold(self.0.changes.subscribe(), |mut changes| async move { changes.recv().await.ok().map(|line| (line, changes)) });
        let body = BodyExt::boxed(StreamBody::new(changes.map(|line| Ok(Frame::data(Bytes::from(line))))));
        Response::builder().header("content-type", "application/json").body(body).unwrap()
    }

    fn carry_out(&self, method: &Method, path: &str, asked: &Asked<'_>) -> (u16, Value) {
        let Asked { dry, merge, label, sent } = asked;
        let mut state = self.state();
        let words: Vec<&str> = path.trim_matches('/').split('/').collect();
        let words = if words[0] == "api" { &words[2..] } else { &words[3..] };
        let (namespace, words) = if words[0] == "namespaces" { (words[1], &words[2..]) } else { ("", words) };
        let (resource, name) = (words[0], words.get(1).copied().or_else(|| sent["metadata"]["name"].as_str()).unwrap_or_default());
        state.asked.push(format!("{method} {resource}/{name}"));
        let key = key(resource, namespace, name);
        match (method.as_str(), resource) {
            (_, "tokenreviews") => (201, review_token(&state, sent)),
            (_, "subjectaccessreviews") => (201, review_access(&state, sent)),
            ("GET", _) if words.len() == 1 => {
                let of = |known: &Key| known.0 == resource && (namespace.is_empty() || known.1 == namespace);
                let wanted = |object: &Value| {
                    label.as_ref().is_none_or(|(name, value)| {
                        let found = &object["metadata"]["labels"][name];
                        found.is_string() && value.as_ref().is_none_or(|value| found == value)
                    })
                };
                let items: Vec<Value> = state.objects.iter().filter(|(key, object)| of(key) && wanted(object)).map(|(_, object)| object.clone()).collect();
                (200, json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": state.version.to_string()}, "items": items}))
            }
            ("GET", _) => state.objects.get(&key).map_or_else(|| refusal(404, "NotFound"), |object| (200, object.clone())),
            ("POST", _) if state.objects.contains_key(&key) => refusal(409, "AlreadyExists"),
            ("POST", _) if state.refused.as_deref() == Some(resource) => refusal(422, "spec.faults[0]: is wrong"),
            ("POST", _) if *dry => (201, (*sent).clone()),
            ("POST", _) => (201, self.keep(&mut state, &key, (*sent).clone())),
            ("PATCH", _) if *merge && !state.objects.contains_key(&key) => refusal(404, "NotFound"),
            ("PATCH", _) => {
                let mut object = state.objects.get(&key).cloned().unwrap_or(json!({"metadata": {}}));
                let uid = &sent["metadata"]["uid"];
                if !uid.is_null() && *uid != object["metadata"]["uid"] {
                    return refusal(409, "Conflict");
                }
                overlay(&mut object, sent);
                (200, self.keep(&mut state, &key, object))
            }
            ("DELETE", _) if !is_as_seen(state.objects.get(&key), &sent["preconditions"]) => refusal(409, "Conflict"),
            ("DELETE", _) => match state.objects.remove(&key) {
                Some(object) => {
                    let uid = object["metadata"]["uid"].clone();
                    let belongs = |other: &Value| other["metadata"]["ownerReferences"].as_array().is_some_and(|all| all.iter().any(|one| one["uid"] == uid));
                    state.objects.retain(|_, other| !belongs(other));
                    let _ = self.0.changes.send(format!("{}\n", json!({"type": "DELETED", "object": object})));
                    (200, object)
                }
                None => refusal(404, "NotFound"),
            },
            other => panic!("the cluster of the tests has no {other:?}"),
        }
    }
}

/// What of a request beside its path decides what becomes of it.
struct Asked<'a> {
    dry: bool,
    /// A merge patch, which makes nothing that is not there.
    merge: bool,
    /// A label that has to be there, and its value where that counts.
    label: Option<(String, Option<String>)>,
    sent: &'a Value,
}

fn label_of(query: &str) -> Option<(String, Option<String>)> {
    let (_, text) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "labelSelector")?;
    Some(text.split_once('=').map_or_else(|| (text.to_string(), None), |(name, value)| (name.to_owned(), Some(value.to_owned()))))
}

/// Whether an object is still the one that a deletion means.
fn is_as_seen(object: Option<&Value>, preconditions: &Value) -> bool {
    let same = |field: &str| preconditions[field].is_null() || object.is_none_or(|object| object["metadata"][field] == preconditions[field]);
    same("uid") && same("resourceVersion")
}

fn key(resource: &str, namespace: &str, name: &str) -> Key {
    (resource.to_owned(), namespace.to_owned(), name.to_owned())
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason, "reason": reason, "code": code}))
}

fn overlay(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (name, change) in changes {
                if change.is_null() {
                    fields.remove(name);
                } else {
                    overlay(fields.entry(name.clone()).or_insert(Value::Null), change);
                }
            }
        }
        (object, patch) => *object = patch.clone(),
    }
}

fn review_token(state: &State, sent: &Value) -> Value {
    let token = sent["spec"]["token"].as_str().unwrap();
    let asked = &sent["spec"]["audiences"];
    let known = state.tokens.get(token).filter(|(_, audience)| asked.as_array().is_some_and(|all| all.iter().any(|one| one == audience)));
    let status = match known {
        Some((user, audience)) => json!({"authenticated": true, "user": {"username": user, "groups": ["system:authenticated"]}, "audiences": [audience]}),
        None => json!({"authenticated": false, "error": "unknown"}),
    };
    json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": sent["spec"], "status": status})
}

fn review_access(state: &State, sent: &Value) -> Value {
    let spec = &sent["spec"];
    let asked = &spec["resourceAttributes"];
    let allowed = asked["group"] == "crucible.dev"
        && state.rights.iter().any(|(user, verb, resource, namespace)| {
            spec["user"] == *user && asked["verb"] == *verb && asked["resource"] == *resource && asked["namespace"] == *namespace
        });
    json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": spec, "status": {"allowed": allowed}})
}
