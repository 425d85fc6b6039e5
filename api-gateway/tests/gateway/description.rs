//! The description of the routes: fresh, whole, and about nothing else than the routes that there are.

use std::{collections::BTreeSet, path::Path};

use crucible_api_gateway::{
    access::{PAGES, ROUTES},
    openapi,
};
use serde_json::Value;

use super::harness::World;

fn described() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&openapi::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))).collect()
}

#[test]
fn the_description_in_the_documentation_is_fresh() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == openapi::document(), "{} is stale: run cargo xtask generate", file.display());
}

#[test]
fn it_is_openapi_3_1_with_a_bearer_token() {
    let document: Value = serde_json::from_str(&openapi::document()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    assert_eq!(document["paths"]["/health"]["get"]["security"], serde_json::json!([{}]));
}

#[test]
fn every_route_is_described_and_needs_a_right_but_health() {
    let mut expected: BTreeSet<String> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.path.replace("{*", "{"))).collect();
    expected.insert("GET /health".to_owned());
    assert_eq!(described(), expected);
}

#[test]
fn pages_are_not_in_the_description() {
    let described = described();
    assert!(PAGES.iter().all(|page| !described.contains(&format!("{} {}", page.method, page.path))));
    assert!(described.iter().all(|route| !route.contains(" /ui")));
}

#[tokio::test]
async fn pages_and_description_are_served_from_the_program_itself() {
    let world = World::open().await;
    assert_eq!(world.get("/openapi.json").await.expect(200), serde_json::from_str::<Value>(&openapi::document()).unwrap());
    assert_eq!(world.get("/docs").await.headers["location"], "/docs/");
    let page = world.get("/docs/").await;
    assert_eq!(page.status, 200);
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let named: Vec<&str> = text.split(['"', '\'']).filter(|word| [".js", ".css"].iter().any(|ending| word.ends_with(ending))).collect();
    assert!(named.len() >= 3, "{text}");
    for name in named {
        assert!(!name.contains("//"), "{name} comes from elsewhere");
        assert_eq!(world.get(&format!("/docs/{}", name.trim_start_matches("./"))).await.status, 200, "{name}");
    }
}
