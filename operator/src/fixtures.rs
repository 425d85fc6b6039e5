//! Reading fixtures: the objects that describe them, and what the bucket lists of them.

use crucible_crds::{Fixture, FixtureSpec};
use crucible_lifecycle::{
    contract::{FrozenPlan, StoredFile},
    fixture::{FixtureView, Listing, prefix},
    seen::Seen,
};
use crucible_store::VaultError;
use kube::Api;

use crate::{context::Context, run::observe};

/// What is known of each dataset that a plan names, in the plan's order.
pub async fn views(ctx: &Context, namespace: &str, plan: &FrozenPlan) -> Vec<FixtureView> {
    let mut views = Vec::with_capacity(plan.spec.fixtures.len());
    let fixtures: Api<Fixture> = Api::namespaced(ctx.client.clone(), namespace);
    for wanted in &plan.spec.fixtures {
        let object = if is_object_name(&wanted.fixture) { observe::seen(fixtures.get_opt(&wanted.fixture).await) } else { Seen::Absent };
        let files = match &object {
            Seen::Found(fixture) => listing(ctx, &wanted.fixture, Some(&fixture.spec)).await,
            Seen::Absent => listing(ctx, &wanted.fixture, None).await,
            Seen::Unreadable(why) => Listing::Unreadable(why.clone()),
        };
        views.push(FixtureView { object, files });
    }
    views
}

/// Whether an object of the cluster can have a name: datasets of the earlier system have capitals and underscores, too.
fn is_object_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.')
}

/// What the bucket lists of a dataset.
pub async fn listing(ctx: &Context, name: &str, spec: Option<&FixtureSpec>) -> Listing {
    match ctx.vault.list(&prefix(name, spec)).await {
        Ok(entries) => Listing::Files(entries.into_iter().map(|entry| StoredFile { key: entry.key, bytes: entry.bytes, tag: entry.tag }).collect()),
        Err(error @ VaultError::Unavailable { .. }) => Listing::Unreadable(error.to_string()),
        Err(error @ (VaultError::NotFound { .. } | VaultError::AccessDenied { .. } | VaultError::Refused { .. })) => Listing::Denied(error.to_string()),
    }
}
