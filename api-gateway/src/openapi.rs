//! The description of every route, as it was gathered where they are registered.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
        server::Server,
    },
};

/// What stands above the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Crucible",
        description = "Database load tests as declared objects: plans, runs, results. The routes without a version and those under /v1 are those of the earlier system; behind each stands an object of the cluster.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "plans", description = "Stored plans."),
        (name = "runs", description = "Runs, from their submit to their results."),
        (name = "workloads", description = "Query files."),
        (name = "fixtures", description = "Datasets; their files go to the bucket in parts, by signed addresses."),
        (name = "systems", description = "Systems under test."),
        (name = "native", description = "The cluster's own objects, of any namespace; errors as RFC 9457 has them."),
        (name = "service", description = "The service itself."),
    ),
    modifiers(&Bearer)
)]
pub struct Description;

/// Every route but those that say otherwise takes a bearer token.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("A token that the gateway's --auth knows.")).build());
        document.components.get_or_insert_default().add_security_scheme("bearer", scheme);
        document.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
        document.servers = Some(vec![Server::new("/")]);
    }
}

/// The document as text, the same for the same code.
#[must_use]
pub fn document() -> String {
    let (_, document) = crate::router::described().split_for_parts();
    // The router marks a part of a path that may have slashes in it; the description has no such mark.
    // A document of texts and maps can always be written.
    let mut text = document.to_pretty_json().unwrap_or_default().replace("{*", "{");
    text.push('\n');
    text
}
