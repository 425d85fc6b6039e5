//! Writes `crds/yaml/*.yaml` from the types: `cargo run -p crucible-crds --example generate`.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    fs::create_dir_all(&directory)?;
    for (file, definition) in crucible_crds::definitions() {
        fs::write(directory.join(file), crucible_crds::crds_yaml(&definition))?;
    }
    Ok(())
}
