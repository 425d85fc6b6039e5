//! The real client, at the other end of a pipe.

use std::sync::{Arc, Mutex};

use crucible_mcp::{Server, gateway::Token, server::Settings};
use rmcp::{
    ClientHandler, RoleClient, ServiceError, ServiceExt,
    model::{CallToolRequestParams, CallToolResult, ProgressNotificationParam},
    service::{NotificationContext, RunningService},
};
use serde_json::Value;

use crate::gateway::{Played, TOKEN};

/// Collects what it is told on the way.
#[derive(Clone, Default)]
pub struct Listener {
    pub progress: Arc<Mutex<Vec<ProgressNotificationParam>>>,
}

impl ClientHandler for Listener {
    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().unwrap().push(told);
    }
}

/// A client of a server in front of a played gateway.
pub struct Client {
    pub gateway: Played,
    pub service: RunningService<RoleClient, Listener>,
}

impl Client {
    /// With a gateway that knows only one token, which the server has.
    pub async fn new() -> Self {
        Self::of(Played { strict: true, ..Played::default() }, Some(TOKEN)).await
    }

    /// With this gateway, and with this token of the server's own.
    pub async fn of(gateway: Played, token: Option<&str>) -> Self {
        let own_token = token.map(|token| Token::try_from(token.to_owned()).unwrap());
        let settings = Settings { own_token, remote_write_url: Some("http://prometheus:9090/api/v1/write".to_owned()) };
        let server = Server::new(gateway.serve().await, settings);
        let (near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let running = server.serve(far).await.unwrap();
            running.waiting().await.unwrap();
        });
        Self { gateway, service: Listener::default().serve(near).await.unwrap() }
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &'static str, arguments: Value) -> Result<CallToolResult, ServiceError> {
        let arguments = arguments.as_object().cloned().unwrap();
        self.service.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await
    }

    /// What a tool answers where it does what it was asked.
    pub async fn done(&self, tool: &'static str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await.unwrap();
        assert_ne!(result.is_error, Some(true), "{tool}: {result:?}");
        let structured = result.structured_content.clone().unwrap();
        assert_eq!(said(&result), structured, "the text and the structure differ");
        structured
    }

    /// What a tool answers where it cannot do what it was asked.
    pub async fn refused(&self, tool: &'static str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await.unwrap();
        assert_eq!((result.is_error, &result.structured_content), (Some(true), &None), "{tool}: {result:?}");
        said(&result)
    }
}

/// The text of an answer, which is JSON.
fn said(result: &CallToolResult) -> Value {
    let text = &result.content.first().unwrap().as_text().unwrap().text;
    serde_json::from_str(text).unwrap()
}
