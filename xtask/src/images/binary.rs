//! Rust programs in images: the cargo build, and the shared libraries that each program names.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::Programs;
use super::layer::Layer;
use crate::{paths, program, say};

/// Compiles every program of the workspace with one feature set, so that nothing is compiled twice.
pub fn compile(programs: &Programs) -> Result<()> {
    let mut cargo = program::command("cargo");
    cargo.current_dir(paths::repository()).args(["build", "--workspace", "--bins"]);
    match programs {
        Programs::In(_) => return Ok(()),
        Programs::Dev => say::step("compiling the Rust programs"),
        Programs::Release => {
            say::step("compiling the Rust programs for speed");
            cargo.arg("--release");
        }
    }
    // A log needs no line for each of some hundred crates.
    if !std::io::stderr().is_terminal() {
        cargo.arg("--quiet");
    }
    program::run(&mut cargo)
}

/// Where the compiled program lies.
pub fn compiled(name: &str, programs: &Programs) -> Result<PathBuf> {
    let directory = match programs {
        Programs::Dev => paths::target().join("debug"),
        Programs::Release => paths::target().join("release"),
        Programs::In(directory) => directory.clone(),
    };
    let file = directory.join(name);
    if !file.is_file() {
        bail!("{} is not there: no package of the workspace builds a program called {name}", file.display());
    }
    Ok(file)
}

/// Adds the libraries of a program, each under the path at which its loader looks for it.
pub fn with_libraries(mut layer: Layer, program: &Path) -> Result<Layer> {
    for library in libraries(program)? {
        layer = layer.file(&library, Path::new(&library), 0o755);
    }
    Ok(layer)
}

fn libraries(program: &Path) -> Result<Vec<String>> {
    let mut ldd = program::command("ldd");
    parse_libraries(&program::output(ldd.env("LC_ALL", "C").arg(program))?)
}

/// Reads `name => path (address)` and `path (address)`; what the kernel provides has no path.
fn parse_libraries(said: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for line in said.lines().map(str::trim) {
        if line.ends_with("not found") {
            bail!("a library is missing on this machine: {line}");
        }
        let place = line.split_once("=> ").map_or(line, |(_, place)| place);
        if let Some(path) = place.split(" (").next().filter(|path| path.starts_with('/')) {
            found.push(path.to_string());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_the_paths_that_the_loader_names() {
        let said = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f00)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f11)\n";
        assert_eq!(parse_libraries(said).unwrap(), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }

    #[test]
    fn a_missing_library_is_named() {
        let error = parse_libraries("\tlibfoo.so.1 => not found\n").unwrap_err();
        assert!(error.to_string().contains("libfoo.so.1"), "{error}");
    }

    #[test]
    fn a_static_program_has_no_libraries() {
        assert!(parse_libraries("\tstatically linked\n").unwrap().is_empty());
    }
}
