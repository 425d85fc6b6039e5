//! What a tool is: its arguments are a type, its result is a type, and the schemas that a caller reads come from both.

use futures::future::BoxFuture;
use rmcp::{
    Peer, RoleServer,
    handler::server::tool::{schema_for_input, schema_for_output},
    model::{CallToolResult, JsonObject, ProgressNotificationParam, ProgressToken, Tool as Listed, ToolAnnotations},
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::{Failure, Problem, cut},
    gateway::Session,
};

/// One tool. The type itself holds the arguments of one call.
pub trait Tool: DeserializeOwned + JsonSchema + Send + 'static {
    /// What the caller gets.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// What the caller reads about it.
    const ABOUT: About;

    /// Does it.
    fn call(self, context: Context) -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}

/// What a caller reads about a tool.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The name that it is called by.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// What it does, when to use it, what comes back; with an example.
    pub description: &'static str,
    /// What it changes.
    pub effect: Effect,
}

/// What a tool changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// Something is there afterwards that was not; nothing is lost.
    Adds,
    /// Something may be replaced; doing it twice is doing it once.
    Replaces,
    /// Something is gone or ended afterwards; doing it twice is doing it once.
    Ends,
    /// A database is put under load, perhaps with faults; doing it twice is doing it twice.
    Loads,
}

/// What a call has besides its arguments.
pub struct Context {
    /// The gateway, as the caller sees it.
    pub session: Session,
    /// The remote write address for plans without one.
    pub remote_write_url: Option<String>,
    /// Where progress is told.
    pub progress: Progress,
    /// Cancelled when the caller does not want the answer any more.
    pub cancelled: CancellationToken,
}

/// Tells the caller how far a call is, where the caller asked to be told.
pub struct Progress {
    to: Option<(Peer<RoleServer>, ProgressToken)>,
}

impl Progress {
    /// Progress of a call that was made with this token, where it was.
    pub fn new(peer: Peer<RoleServer>, token: Option<ProgressToken>) -> Self {
        Self { to: token.map(|token| (peer, token)) }
    }

    /// Tells it. A caller that cannot be told has gone, which its cancellation says.
    pub async fn tell(&self, done: f64, total: f64, message: String) {
        if let Some((peer, token)) = &self.to {
            let told = ProgressNotificationParam::new(token.clone(), done).with_total(total).with_message(message);
            let _ = peer.notify_progress(told).await;
        }
    }
}

/// A tool as the server holds it.
pub struct Entry {
    /// What is listed.
    pub listed: Listed,
    /// Reads the arguments and does it.
    pub call: fn(JsonObject, Context) -> BoxFuture<'static, CallToolResult>,
}

impl Entry {
    /// The entry of a tool.
    pub fn of<T: Tool>() -> Self {
        let About { name, title, description, effect } = T::ABOUT;
        // A schema that is no object would be a mistake in the type; the golden list would show it.
        let input = schema_for_input::<T>().unwrap_or_default();
        let listed = Listed::new(name, description, input)
            .with_title(title)
            .with_raw_output_schema(schema_for_output::<T::Output>())
            .with_annotations(annotations(title, effect));
        Self { listed, call: |arguments, context| Box::pin(call::<T>(arguments, context)) }
    }
}

async fn call<T: Tool>(arguments: JsonObject, context: Context) -> CallToolResult {
    let called = match read::<T>(arguments) {
        Ok(tool) => tool.call(context).await,
        Err(failure) => Err(failure),
    };
    let written = called.and_then(|output| serde_json::to_value(output).map_err(|error| Failure::Unreadable(error.to_string())));
    match written {
        Ok(output) => CallToolResult::structured(output),
        Err(failure) => {
            tracing::info!(tool = T::ABOUT.name, error = %cut(&failure.to_string(), 300), "a call failed");
            failure.into_result()
        }
    }
}

/// The arguments of a call; a mistake names the argument.
fn read<T: Tool>(arguments: JsonObject) -> Result<T, Failure> {
    serde_path_to_error::deserialize(serde_json::Value::Object(arguments)).map_err(|error| {
        let (path, message) = (error.path().to_string(), cut(&error.into_inner().to_string(), 300));
        // Of a field that is missing or unknown only the message has the name.
        let named = || message.strip_prefix("missing field `").or_else(|| message.strip_prefix("unknown field `"))?.split_once('`').map(|(name, _)| name);
        let path = match (path.as_str(), named()) {
            (whole, Some(name)) if matches!(whole, "." | "?") || whole == name => name.to_owned(),
            (".", None) => String::new(),
            (parent, Some(name)) if !parent.ends_with(name) => format!("{parent}.{name}"),
            (path, _) => path.to_owned(),
        };
        Failure::Argument(Problem { path, message })
    })
}

fn annotations(title: &str, effect: Effect) -> ToolAnnotations {
    let (reads, destroys, idempotent, open) = match effect {
        Effect::Reads => (true, false, true, false),
        Effect::Adds => (false, false, false, false),
        Effect::Replaces | Effect::Ends => (false, true, true, false),
        Effect::Loads => (false, true, false, true),
    };
    ToolAnnotations::with_title(title).read_only(reads).destructive(destroys).idempotent(idempotent).open_world(open)
}
