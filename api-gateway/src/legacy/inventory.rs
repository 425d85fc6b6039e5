//! Systems under test: which kinds there are, and which ones are under load right now.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue},
};
use crucible_crds::test_plan::Engine;
use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer, value::Error},
};
use utoipa::ToSchema;

use super::INCOMPLETE;
use crate::{error::ErrorBody, state::Gateway};

/// Every engine in the order in which clients have always seen them; those that a plan cannot name are left out.
const ENGINES: [&str; 5] = ["doris", "trino", "cassandra", "mysql", "postgres"];

/// Kinds of systems under test.
#[derive(Serialize, ToSchema)]
pub struct Types {
    /// What a plan's `component_spec.type` may be.
    sut_types: Vec<&'static str>,
}

/// Which kinds of systems under test there are.
#[utoipa::path(get, path = "/v1/sut/types", tag = "systems", responses((status = 200, body = Types), (status = "4XX", body = ErrorBody)))]
pub async fn types() -> Json<Types> {
    let known = |name: &&str| Engine::deserialize(IntoDeserializer::<Error>::into_deserializer(*name)).is_ok();
    Json(Types { sut_types: ENGINES.into_iter().filter(known).collect() })
}

/// Runs that hold a system under test.
#[derive(Serialize, ToSchema)]
pub struct Inventory {
    /// Runs that gather their workers or load.
    active: Vec<Active>,
}

/// A run that holds a system under test.
#[derive(Serialize, ToSchema)]
pub struct Active {
    run_id: String,
    run_label: Option<String>,
    sut_type: Option<String>,
    status: String,
}

/// Which runs hold a system under test right now.
#[utoipa::path(get, path = "/v1/sut/inventory", tag = "systems", responses((status = 200, body = Inventory), (status = "4XX", body = ErrorBody)))]
pub async fn active(State(gateway): State<Gateway>) -> (HeaderMap, Json<Inventory>) {
    let namespace = &gateway.settings.namespace;
    let runs = gateway.runs.every(namespace, |run| matches!(run.status(), "WAITING_ROOM" | "EXECUTING"));
    let mut active: Vec<Active> = runs
        .iter()
        .map(|run| Active {
            run_id: run.run_id().to_owned(),
            run_label: Some(run.label().to_owned()),
            sut_type: run.sut_type().map(str::to_owned),
            status: run.status().to_owned(),
        })
        .collect();
    let mut headers = HeaderMap::new();
    if let Some(ledger) = &gateway.ledger {
        match ledger.active(namespace).await {
            Ok(rows) => {
                // Of a run that the cluster knows, the cluster's word stands, also where that is another one.
                let known: BTreeSet<String> =
                    rows.iter().filter(|row| gateway.runs.by_id(namespace, &row.run_id).is_some()).map(|row| row.run_id.clone()).collect();
                let others = rows.into_iter().filter(|row| !known.contains(&row.run_id));
                active.extend(others.map(|row| Active { run_id: row.run_id, run_label: row.run_label, sut_type: row.sut_type, status: row.status }));
            }
            Err(error) => {
                tracing::warn!(%error, "runs that only the ledger knows are left out");
                headers.insert(INCOMPLETE, HeaderValue::from_static("ledger"));
            }
        }
    }
    (headers, Json(Inventory { active }))
}
