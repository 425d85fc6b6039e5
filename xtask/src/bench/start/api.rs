//! The cluster as this bench needs it: objects created with one plain request each, read back as JSON, and removed.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::bench::clock::{self, Micros};
use crate::chart::TESTS_NAMESPACE;
use crate::cluster::Cluster;
use crate::program;

/// The collection of runs in the namespace that the bench uses.
pub const RUNS: &str = "/apis/crucible.dev/v1alpha1/namespaces/shop-tests/testruns";
/// The collection of plans.
pub const PLANS: &str = "/apis/crucible.dev/v1alpha1/namespaces/shop-tests/testplans";
/// The collection of jobs.
pub const JOBS: &str = "/apis/batch/v1/namespaces/shop-tests/jobs";
/// The collection of config maps.
pub const CONFIG_MAPS: &str = "/api/v1/namespaces/shop-tests/configmaps";
/// On everything that the bench creates, so that an earlier bench's leavings are found.
pub const LABEL: &str = "crucible.dev/bench";

const GONE: Duration = Duration::from_secs(90);

/// The administrator's hands.
pub struct Api<'a>(pub &'a Cluster);

/// An object that was created.
pub struct Created {
    /// The instant right before kubectl was started
    pub asked: Micros,
    /// The instant at which kubectl had ended: the API server has the object
    pub answered: Micros,
    /// The object's uid
    pub uid: String,
}

impl Api<'_> {
    /// Creates an object with a single POST (`kubectl create --raw`).
    pub fn create(&self, collection: &str, object: &Value) -> Result<Created> {
        let mut kubectl = self.0.kubectl_command()?;
        kubectl.args(["create", "--raw", collection, "--filename=-"]);
        let text = object.to_string();
        let asked = clock::now();
        let said = program::output_with_input(&mut kubectl, &text);
        let answered = clock::now();
        let said: Value = serde_json::from_str(&said?).with_context(|| format!("the answer to the creation in {collection} is no JSON"))?;
        let uid = said["metadata"]["uid"].as_str().context("the created object has no uid")?.to_owned();
        Ok(Created { asked, answered, uid })
    }

    /// Reads one path of the API.
    pub fn read(&self, path: &str) -> Result<Value> {
        let text = self.0.kubectl(&["get", "--raw", path])?;
        serde_json::from_str(&text).with_context(|| format!("{path} is no JSON"))
    }

    /// The items of a collection that a label selects.
    pub fn list(&self, collection: &str, selector: &str) -> Result<Vec<Value>> {
        let list = self.read(&format!("{collection}?labelSelector={}", selector.replace('=', "%3D")))?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// The pods of the tests' namespace that a label selects.
    pub fn pods(&self, selector: &str) -> Result<Vec<Value>> {
        self.list(&format!("/api/v1/namespaces/{TESTS_NAMESPACE}/pods"), selector)
    }

    /// The logs of those pods, each line behind its pod's name.
    pub fn logs(&self, selector: &str) -> Result<String> {
        let most = "--max-log-requests=100";
        self.0.kubectl(&["--namespace", TESTS_NAMESPACE, "logs", "--selector", selector, "--tail=-1", "--prefix", most])
    }

    /// Deletes objects by kind and label, and waits until they and the selected pods are gone.
    pub fn remove(&self, kinds: &str, selector: &str, pods: &str) -> Result<()> {
        self.0.kubectl(&["--namespace", TESTS_NAMESPACE, "delete", kinds, "--selector", selector, "--timeout=90s"])?;
        let begun = Instant::now();
        while !self.pods(pods)?.is_empty() {
            if begun.elapsed() > GONE {
                bail!("pods with the label {pods} are still there after {} s", GONE.as_secs());
            }
            sleep(Duration::from_millis(500));
        }
        Ok(())
    }
}

/// A plan of so many workers, one virtual user each, that look rows up for so many seconds.
pub fn plan(name: &str, workers: u32, seconds: u64) -> Value {
    json!({
        "apiVersion": "crucible.dev/v1alpha1", "kind": "TestPlan", "metadata": {"name": name, "labels": {LABEL: "start"}},
        "spec": {
            "target": {
                "engine": "mysql", "endpoint": "mariadb.sut.svc:3306", "database": "shop",
                "credentialsRef": {"name": "shop-credentials"}, "tls": {"mode": "disable"}
            },
            "workload": {
                "source": {"inline": "-- @type: sql\n-- @name: PointLookup\nSELECT name, city, joined FROM customers WHERE id = :id;\n"},
                "parameters": [{"name": "id", "range": [1, 100_000]}]
            },
            "load": {"workers": workers, "stages": [{"name": "steady", "duration": format!("{seconds}s"), "vus": workers}]}
        }
    })
}

/// A run of a plan.
pub fn run(name: &str, plan: &str) -> Value {
    json!({
        "apiVersion": "crucible.dev/v1alpha1", "kind": "TestRun", "metadata": {"name": name, "labels": {LABEL: name}},
        "spec": {"planRef": {"name": plan}}
    })
}
