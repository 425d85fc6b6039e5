//! An API server in memory, as a service under the real client: enough of it for the operator's own calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use http::{Method, Request as HttpRequest, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;

mod patch;
mod request;
pub mod store;

use request::Request;
pub use store::{Key, Store};

/// One operator's way to the outside: it counts what that operator changes there, and can be cut.
#[derive(Default)]
pub struct Line {
    /// How many effects there were so far, over all operators of one test.
    effects: Arc<AtomicUsize>,
    /// After which effect this operator dies.
    cut_after: Option<usize>,
    /// Whether every write is made twice, as when an answer got lost and the client asked again.
    pub twice: bool,
    dead: AtomicBool,
    died: Notify,
}

impl Line {
    pub fn new(effects: Arc<AtomicUsize>, cut_after: Option<usize>, twice: bool) -> Self {
        Self { effects, cut_after, twice, ..Self::default() }
    }

    /// Counts an effect that was just made. Returns whether its answer still arrives.
    pub fn effect(&self) -> bool {
        let made = self.effects.fetch_add(1, Ordering::SeqCst) + 1;
        if self.cut_after == Some(made) {
            self.dead.store(true, Ordering::SeqCst);
            self.died.notify_one();
        }
        !self.is_dead()
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Done when the operator dies.
    pub async fn died(&self) {
        if !self.is_dead() {
            self.died.notified().await;
        }
    }
}

/// An answer that is on its way.
type Answer = Pin<Box<dyn Future<Output = Result<Response<Full<bytes::Bytes>>, Infallible>> + Send>>;

/// The API server.
#[derive(Clone)]
pub struct FakeApi {
    pub store: Arc<Mutex<Store>>,
    /// Every request as `METHOD path`, in order.
    pub log: Arc<Mutex<Vec<String>>>,
    /// Whether it answers nothing but that it cannot answer.
    pub down: Arc<AtomicBool>,
    /// Resources that nobody has defined.
    pub undefined: Arc<Mutex<BTreeSet<String>>>,
}

impl FakeApi {
    pub fn new(store: Store) -> Self {
        Self { store: Arc::new(Mutex::new(store)), log: Arc::default(), down: Arc::default(), undefined: Arc::default() }
    }

    /// A client over a line.
    pub fn client(&self, line: Arc<Line>) -> kube::Client {
        let api = self.clone();
        kube::Client::new(tower::service_fn(move |request| api.clone().answer(Arc::clone(&line), request)), "default")
    }

    fn answer(self, line: Arc<Line>, request: HttpRequest<Body>) -> Answer {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            if line.is_dead() {
                return std::future::pending().await;
            }
            if self.down.load(Ordering::SeqCst) {
                let answer = status(503, "ServiceUnavailable", "told to be down").to_string();
                return Ok(Response::builder().status(503).body(Full::from(answer)).unwrap());
            }
            let request = Request::parse(&head, &body);
            self.log.lock().unwrap().push(request.to_string());
            let mut answer = self.handle(&request);
            if request.is_write() {
                if line.twice {
                    answer = self.handle(&request);
                }
                if !line.effect() {
                    return std::future::pending().await;
                }
            }
            let (code, value) = answer;
            let status = StatusCode::from_u16(code).unwrap();
            Ok(Response::builder().status(status).header("content-type", "application/json").body(Full::from(value.to_string())).unwrap())
        })
    }

    fn handle(&self, request: &Request) -> (u16, Value) {
        if self.undefined.lock().unwrap().contains(&request.resource) {
            return (404, status(404, "NotFound", "the server could not find the requested resource"));
        }
        let mut store = self.store.lock().unwrap();
        let outcome = match (&request.method, &request.name) {
            (&Method::GET, Some(_)) => store.get(&request.key()),
            (&Method::GET, None) => Ok(store.list(&request.resource, request.namespace.as_deref(), &request.query)),
            (&Method::POST, _) => store.create(&request.resource, request.namespace.as_deref().unwrap_or_default(), request.body.clone()),
            (&Method::PUT, _) => store.replace(&request.key(), &request.body),
            (&Method::PATCH, _) => patch(&mut store, request),
            (&Method::DELETE, _) => store.delete(&request.key(), &request.body),
            other => panic!("the fake API has no {other:?}"),
        };
        match outcome {
            Ok(value) => (if request.method == Method::POST { 201 } else { 200 }, value),
            Err(refusal) => (refusal.code, refusal.to_status()),
        }
    }
}

fn patch(store: &mut Store, request: &Request) -> Result<Value, store::Refusal> {
    match (request.content_type.as_str(), request.subresource.as_deref()) {
        ("application/merge-patch+json", None) => store.merge(&request.key(), &request.body),
        ("application/json-patch+json", None | Some("status")) => store.json_patch(&request.key(), &request.body),
        ("application/apply-patch+yaml", Some("status")) => store.apply_status(&request.key(), &request.body),
        other => panic!("the fake API has no patch {other:?}"),
    }
}

/// What an error looks like on the wire.
pub fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code})
}

/// Labels of an object.
pub fn labels(object: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default()
}
