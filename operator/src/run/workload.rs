//! Observe, the workload: the texts that a plan names, in the plan itself, in a ConfigMap or in the bucket.

use crucible_crds::test_plan::WorkloadSource;
use crucible_lifecycle::{
    seen::Seen,
    workload::{Place, places},
};
use crucible_store::VaultError;
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use tokio::io::AsyncReadExt;

use super::observe::seen;
use crate::context::Context;

/// No text is longer: an inline one is limited to 256 KiB, a ConfigMap to 1 MiB.
const LONGEST_WORKLOAD: u64 = 1024 * 1024;
/// How many objects of one workload are read at once.
const READ_AT_ONCE: usize = 8;

/// The texts that a plan's source names, in the order of its places.
pub(crate) async fn workload(ctx: &Context, namespace: &str, source: &WorkloadSource) -> Vec<Seen<String>> {
    let readings: Vec<_> = places(source).into_iter().map(|place| text_in(ctx, namespace, place)).collect();
    futures::stream::iter(readings).buffered(READ_AT_ONCE).collect().await
}

async fn text_in(ctx: &Context, namespace: &str, place: Place<'_>) -> Seen<String> {
    match place {
        Place::Inline(text) => Seen::Found(text.to_owned()),
        Place::ConfigMap(place) => {
            let maps: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), namespace);
            match seen(maps.get_opt(&place.name).await) {
                Seen::Found(map) => map.data.and_then(|mut data| data.remove(&place.key)).into(),
                Seen::Absent => Seen::Absent,
                Seen::Unreadable(why) => Seen::Unreadable(why),
            }
        }
        Place::Object(place) => object_text(ctx, &place.key).await,
    }
}

async fn object_text(ctx: &Context, key: &str) -> Seen<String> {
    let reader = match ctx.vault.get(key).await {
        Ok(reader) => reader,
        Err(VaultError::NotFound { .. }) => return Seen::Absent,
        Err(error) => return Seen::Unreadable(error.to_string()),
    };
    let mut text = String::new();
    match reader.take(LONGEST_WORKLOAD + 1).read_to_string(&mut text).await {
        Ok(read) if read as u64 > LONGEST_WORKLOAD => Seen::Unreadable(format!("object {key} is longer than {LONGEST_WORKLOAD} bytes")),
        Ok(_) => Seen::Found(text),
        Err(error) => Seen::Unreadable(format!("object {key} cannot be read as text: {error}")),
    }
}
