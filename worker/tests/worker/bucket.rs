//! A bucket that can be told to refuse.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::spawn,
};

use crucible_lifecycle::contract::{ResultFile, SignedPut, UploadOrder};

use crate::http;

pub struct Bucket {
    url: String,
    refusals: Arc<AtomicUsize>,
    stored: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    puts: Arc<Mutex<Vec<String>>>,
}

impl Bucket {
    /// A bucket that refuses this many requests first.
    pub fn refusing(refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bucket = Self { url, refusals: Arc::new(AtomicUsize::new(refusals)), stored: Arc::default(), puts: Arc::default() };
        let (refusals, stored, puts) = (bucket.refusals.clone(), bucket.stored.clone(), bucket.puts.clone());
        spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = http::read_request(&stream) else { continue };
                assert_eq!(request.method, "PUT");
                assert_eq!(request.headers["x-amz-meta-run"], "checkout");
                let (path, signature) = request.path.split_once('?').unwrap();
                assert_eq!(signature, "X-Amz-Signature=s1gn4ture");
                puts.lock().unwrap().push(path.to_owned());
                if refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    http::answer(&mut stream, "503 Service Unavailable", "<Error><Code>SlowDown</Code><StringToSign>s1gn4ture</StringToSign></Error>");
                    continue;
                }
                stored.lock().unwrap().insert(path.to_owned(), request.body);
                http::answer(&mut stream, "200 OK", "");
            }
        });
        bucket
    }

    pub fn order(&self, files: &[ResultFile]) -> String {
        let headers = BTreeMap::from([("x-amz-meta-run".to_owned(), "checkout".to_owned())]);
        let object = |file: &ResultFile| SignedPut {
            name: file.name.clone(),
            url: format!("{}/results/{}?X-Amz-Signature=s1gn4ture", self.url, file.name),
            headers: headers.clone(),
        };
        serde_json::to_string(&UploadOrder { objects: files.iter().map(object).collect() }).unwrap()
    }

    pub fn stored(&self) -> BTreeMap<String, Vec<u8>> {
        self.stored.lock().unwrap().clone()
    }

    pub fn puts(&self) -> Vec<String> {
        self.puts.lock().unwrap().clone()
    }
}
