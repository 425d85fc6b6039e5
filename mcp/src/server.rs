//! The server as the protocol sees it: lists what there is, hands each call to its tool with the caller's own session.

use std::sync::Arc;

use http::{header::AUTHORIZATION, request::Parts};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult, ListResourceTemplatesResult,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};

use crate::{
    gateway::{Gateway, Session, Token},
    guide, prompts, resources,
    tool::{Context, Progress},
    tools,
};

/// The server. It holds no state: clones are the same server.
#[derive(Clone)]
pub struct Server {
    gateway: Gateway,
    settings: Arc<Settings>,
}

/// What answers depend on besides the gateway.
#[derive(Clone, Default)]
pub struct Settings {
    /// The token of callers that bring none: the user's own over stdio; over HTTP only where anybody may act with it.
    pub own_token: Option<Token>,
    /// The remote write address for plans without one.
    pub remote_write_url: Option<String>,
}

impl Server {
    /// A server in front of this gateway.
    pub fn new(gateway: Gateway, settings: Settings) -> Self {
        Self { gateway, settings: Arc::new(settings) }
    }

    /// The gateway as the caller of this request sees it: with the caller's token, else with the server's own.
    fn session(&self, context: &RequestContext<RoleServer>) -> Session {
        let brought = context.extensions.get::<Parts>().and_then(|parts| bearer(&parts.headers));
        self.gateway.session(brought.or_else(|| self.settings.own_token.clone()))
    }
}

/// The bearer token of a request, where it has exactly one.
pub fn bearer(headers: &http::HeaderMap) -> Option<Token> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (only, more) = (given.next()?, given.next());
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let usable = more.is_none() && scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(char::is_whitespace);
    usable.then(|| Token::try_from(token.to_owned()).ok())?
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().enable_prompts().build();
        let implementation = Implementation::new("crucible", env!("CARGO_PKG_VERSION")).with_title("Crucible: database load testing");
        ServerConfig::new(capabilities).with_server_info(implementation).with_instructions(guide::INSTRUCTIONS)
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::catalogue().iter().map(|entry| entry.listed.clone()).collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::find(name).map(|entry| entry.listed.clone())
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        let entry =
            tools::find(&request.name).ok_or_else(|| ErrorData::invalid_params(format!("unknown tool: {}", crate::failure::cut(&request.name, 100)), None))?;
        let call = Context {
            session: self.session(&context),
            remote_write_url: self.settings.remote_write_url.clone(),
            progress: Progress::new(context.peer.clone(), context.meta.get_progress_token()),
            cancelled: context.ct.clone(),
        };
        Ok((entry.call)(request.arguments.unwrap_or_default(), call).await.into())
    }

    async fn list_resources(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::listed()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(&self, request: ReadResourceRequestParams, context: RequestContext<RoleServer>) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&self.session(&context), &request.uri).await.map(Into::into)
    }

    async fn list_prompts(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::listed()))
    }

    async fn get_prompt(&self, request: GetPromptRequestParams, _: RequestContext<RoleServer>) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&request.name, &request.arguments.unwrap_or_default()).map(Into::into)
    }
}
