//! What the developer's machine needs: Debian packages, and programs built from pinned Go modules.

mod apt;
mod go;

pub use apt::{Package, ensure_packages};
pub use go::{Tool, ensure};
