//! Prometheus servers: one that answers, one that never does.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use crucible_lifecycle::results::observability::Server;
use crucible_operator::prometheus::{AskError, Observatory, Prometheus, Range};
use serde_json::json;

/// What the operator of these worlds may ask.
pub fn observatory() -> Observatory {
    let servers = json!([{"name": "cluster", "url": "http://prometheus.monitoring.svc:9090"}, {"name": "stuck", "url": "http://stuck.monitoring.svc:9090"}]);
    Observatory { servers: serde_json::from_value(servers).unwrap(), client: Arc::new(SimPrometheus) }
}

struct SimPrometheus;

#[async_trait]
impl Prometheus for SimPrometheus {
    async fn query_range(&self, server: &Server, ask: &Range<'_>) -> Result<Bytes, AskError> {
        if server.name == "stuck" {
            return std::future::pending().await;
        }
        if ask.query == "nonsense(" {
            return Err(AskError::Refused(400));
        }
        let from = ask.window.from.as_second();
        // A load that lasted a little less than its stages counts as whole.
        let lasted = ask.window.to.duration_since(ask.window.from).as_millis() + 500;
        let points = lasted / i128::try_from(ask.step.as_millis()).unwrap() + 1;
        let values: Vec<_> = (0..points).map(|point| json!([from, point.to_string()])).collect();
        Ok(Bytes::from(json!({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}}).to_string()))
    }
}
