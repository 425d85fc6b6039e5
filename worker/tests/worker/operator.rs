//! An operator that only writes down who checks in.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
    thread::spawn,
    time::{Duration, Instant},
};

use crucible_lifecycle::contract::CheckIn;

use crate::http;

/// One check-in: with which token, saying what.
#[derive(Clone)]
pub struct Seen {
    pub authorization: String,
    pub check_in: CheckIn,
}

pub struct Operator {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Operator {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = seen.clone();
        spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = http::read_request(&stream) else { continue };
                assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/check-in"));
                let check_in = serde_json::from_slice(&request.body).unwrap();
                into.lock().unwrap().push(Seen { authorization: request.headers["authorization"].clone(), check_in });
                http::answer(&mut stream, "200 OK", "{}");
            }
        });
        Self { url, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The address that the first check-in names.
    pub fn address(&self) -> String {
        let begun = Instant::now();
        loop {
            if let Some(first) = self.seen().first() {
                return first.check_in.address.clone();
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "the worker did not check in");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
