//! Writes `docs/openapi.json` from the routes: `cargo run -p crucible-api-gateway --example openapi`.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json"), crucible_api_gateway::openapi::document())
}
