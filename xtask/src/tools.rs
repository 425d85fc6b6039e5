//! What the developer's machine needs: Debian packages, programs built from pinned Go modules, and Python and Node packages.

mod apt;
mod chaos_mesh;
mod go;
mod node;
mod python;

pub use apt::{Package, ensure_packages};
pub use chaos_mesh::{ChaosMesh, ensure_chaos_mesh};
pub use go::{Tool, ensure};
pub use node::node_environment;
pub use python::python_environment;
