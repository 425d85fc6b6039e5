//! Stored plans: their text in the bucket without its password, the password in a Secret beside the runs.
//!
//! A plan that another program put into the bucket is read as it is, password and all, and never written.

use std::collections::BTreeMap;

use bytes::Bytes;
use crucible_lifecycle::{
    build::labels::PLAN_CONTENT,
    legacy::{
        LegacyPlan, ids,
        plan::{self, Password},
    },
};
use crucible_store::VaultError;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
    core::ObjectMeta,
};
use serde_json::{Map, Value, json};

use super::objects;
use crate::{
    error::ApiError,
    state::{Gateway, hex},
};

/// Where plans lie in the bucket.
pub const PREFIX: &str = "plans/";
/// Who wrote what the gateway writes.
pub const MANAGER: &str = "crucible-gateway";
/// What holds a password of ours.
const PASSWORD: &str = "password";
/// Metadata of a plan's object: drawn anew whenever it is stored.
const REVISION: &str = "crucible-revision";
/// No plan is larger.
const MOST_BYTES: u64 = 256 << 10;

/// Where a plan lies in the bucket.
pub fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// A plan as the bucket has it.
pub struct Stored {
    /// Its text.
    pub text: String,
    /// What tells this storing of it from every other, the password included; nothing where another program has stored it.
    pub revision: Option<String>,
}

/// The text of a plan, where there is one of this name.
pub async fn text(gateway: &Gateway, name: &str) -> Result<String, ApiError> {
    Ok(read(gateway, name).await?.text)
}

/// A plan, where there is one of this name.
pub async fn read(gateway: &Gateway, name: &str) -> Result<Stored, ApiError> {
    let missing = || ApiError::NotFound(format!("test plan '{name}' was not found"));
    if !ids::is_plan_name(name) {
        return Err(missing());
    }
    let (bytes, mut notes) = objects::read_noted(&*gateway.vault, &key(name), MOST_BYTES).await?.ok_or_else(missing)?;
    Ok(Stored { text: plan::decode(&bytes)?.to_owned(), revision: notes.remove(REVISION) })
}

/// Whether there is a plan of this name.
pub async fn exists(gateway: &Gateway, name: &str) -> Result<bool, ApiError> {
    match gateway.vault.head(&key(name)).await {
        Ok(_) => Ok(true),
        Err(VaultError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Stores a plan, or replaces it. The password goes first: a text whose password is not there yet could not be run.
pub async fn put(gateway: &Gateway, name: &str, text: &str, plan: &LegacyPlan) -> Result<(), ApiError> {
    match &plan.password {
        Password::Given(password) => keep(gateway, name, password).await?,
        Password::Kept => drop(kept(gateway, name).await?),
    }
    let masked = Bytes::from(plan::masked(text)?);
    let revision = BTreeMap::from([(REVISION.to_owned(), hex(&gateway.entropy.bytes(), 16))]);
    Ok(gateway.vault.put(&key(name), masked, "application/yaml", &revision).await?)
}

/// Removes a plan with its password. Runs have their own.
pub async fn remove(gateway: &Gateway, name: &str) -> Result<(), ApiError> {
    gateway.vault.delete(&key(name)).await?;
    match secrets(gateway).delete(&secret(name), &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(ApiError::of_kube(&error, "the password of the plan")),
    }
}

/// The password that a plan runs with.
pub async fn password(gateway: &Gateway, name: &str, plan: &LegacyPlan) -> Result<String, ApiError> {
    match &plan.password {
        Password::Given(password) => Ok(password.clone()),
        Password::Kept => kept(gateway, name).await,
    }
}

/// The password that was kept when the plan was stored with one.
async fn kept(gateway: &Gateway, name: &str) -> Result<String, ApiError> {
    let found = secrets(gateway).get_opt(&secret(name)).await.map_err(|error| ApiError::of_kube(&error, "the password of the plan"))?;
    let password = found.and_then(|secret| secret.data?.remove(PASSWORD)).and_then(|bytes| String::from_utf8(bytes.0).ok());
    password.ok_or_else(|| {
        let place = ["body", "test_environment", "component_spec", "cluster_info", "password"];
        ApiError::invalid(&place, "the mask stands for a password that is kept, and none is: write the password itself", "value_error")
    })
}

async fn keep(gateway: &Gateway, name: &str, password: &str) -> Result<(), ApiError> {
    let secret = secret(name);
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": secret, "labels": labels(), "annotations": {"crucible.dev/plan-name": name}},
        "stringData": {PASSWORD: password},
    });
    let patched = secrets(gateway).patch(&secret, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await;
    patched.map(drop).map_err(|error| ApiError::of_kube(&error, "the password of the plan"))
}

/// What is on everything that the gateway writes.
pub fn labels() -> Value {
    json!({"app.kubernetes.io/managed-by": MANAGER, "app.kubernetes.io/part-of": "crucible"})
}

/// The name, labels and annotations of a run, of its plan and of its login: which content they are of, and what clients ask for.
pub fn metadata(name: &str, content: &str, notes: Map<String, Value>) -> ObjectMeta {
    // Texts in a map always fit.
    let texts = |value: Value| serde_json::from_value(value).ok();
    let mut labels = labels();
    labels[PLAN_CONTENT] = content.into();
    ObjectMeta { name: Some(name.to_owned()), labels: texts(labels), annotations: texts(Value::Object(notes)), ..ObjectMeta::default() }
}

fn secret(name: &str) -> String {
    format!("{}-login", ids::object_name(name))
}

fn secrets(gateway: &Gateway) -> Api<Secret> {
    Api::namespaced(gateway.client.clone(), &gateway.settings.namespace)
}
