//! What each image is made of.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::layer::{self, Blob, Layer};
use super::layout::Recipe;
use super::{Image, Programs, binary, debian};
use crate::engines::{self, Unpacked};
use crate::paths;
use crate::tools::{self, ChaosMesh, Tool};

const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// initdb and others look their own user up by its number.
const ACCOUNTS: &str = "root:x:0:0:root:/:/sbin/nologin\ncrucible:x:65532:65532:crucible:/tmp:/sbin/nologin\n";
const GROUPS: &str = "root:x:0:\ncrucible:x:65532:\n";
const SEARCH_PATH: &str = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether programs of the workspace go into the image.
pub fn holds_rust(image: Image) -> bool {
    matches!(image, Image::Operator | Image::Worker | Image::Gateway | Image::Mcp)
}

/// Makes the image's layers, or finds them in the cache.
pub fn recipe(image: Image, programs: &Programs) -> Result<Recipe> {
    match image {
        Image::Pause => Ok(from_scratch(vec![go_program(Tool::Pause)?], "/usr/local/bin/pause")),
        Image::Coredns => Ok(from_scratch(vec![ground()?, go_program(Tool::CoreDns)?], "/usr/local/bin/coredns")),
        Image::S3 => Ok(from_scratch(vec![ground()?, go_program(Tool::VersityGw)?], "/usr/local/bin/versitygw")),
        Image::Operator => rust_program("crucible-operator", programs, Vec::new()),
        Image::Worker => rust_program("crucible-worker", programs, vec![go_program(Tool::K6)?]),
        Image::Gateway => rust_program("crucible-gateway", programs, Vec::new()),
        Image::Mcp => rust_program("crucible-mcp", programs, Vec::new()),
        Image::Mariadb => database(image, &["mariadb-server-core", "mariadb-client-core"], "/var/lib/mysql"),
        Image::Postgres => database(image, &["postgresql-15"], "/var/lib/postgresql/data"),
        // Debian's program as it is, with the exporter that asks MariaDB; the chart says what to run.
        Image::Prometheus => Ok(Recipe {
            layers: debian::layers(&["prometheus", "prometheus-mysqld-exporter"])?,
            entrypoint: vec!["/usr/bin/prometheus".into()],
            environment: vec![SEARCH_PATH.into()],
        }),
        Image::Trino => trino(),
        Image::ChaosMesh => chaos_mesh(&tools::ensure_chaos_mesh()?),
        Image::ChaosDaemon => chaos_daemon(&tools::ensure_chaos_mesh()?),
    }
}

fn from_scratch(layers: Vec<Blob>, program: &str) -> Recipe {
    Recipe { layers, entrypoint: vec![program.into()], environment: vec![SEARCH_PATH.into()] }
}

/// The program in the topmost layer, as it changes most often; its libraries in one that it shares with the other programs.
fn rust_program(name: &str, programs: &Programs, between: Vec<Blob>) -> Result<Recipe> {
    tools::ensure_packages(&[tools::Package::new("binutils", "strip"), tools::Package::new("libc-bin", "ldd")])?;
    let compiled = binary::compiled(name, programs)?;
    let path = format!("/usr/local/bin/{name}");
    let mut layers = vec![ground()?, binary::with_libraries(Layer::default(), &compiled)?.write()?];
    layers.extend(between);
    layers.push(Layer::default().program(&path, &compiled).write()?);
    Ok(from_scratch(layers, &path))
}

fn go_program(tool: Tool) -> Result<Blob> {
    Layer::default().file(&format!("/usr/local/bin/{}", tool.name()), &tools::ensure(tool)?, 0o755).write()
}

/// What every image from scratch stands on: accounts, certificates, name look-up, a place for temporary files.
fn ground() -> Result<Blob> {
    tools::ensure_packages(&[tools::Package::new("ca-certificates", CERTIFICATES)])?;
    let layer = Layer::default().text("/etc/passwd", ACCOUNTS, 0o644).text("/etc/group", GROUPS, 0o644);
    let layer = layer.text("/etc/nsswitch.conf", "hosts: files dns\n", 0o644).file(CERTIFICATES, Path::new(CERTIFICATES), 0o644);
    layer.directory("/tmp", 0o1777).write()
}

/// A database of Debian's, started by a script of ours. The data directory is a volume's place.
fn database(image: Image, packages: &[&str], data: &str) -> Result<Recipe> {
    let mut layers = debian::layers(packages)?;
    let layer = Layer::default().text("/etc/passwd", ACCOUNTS, 0o644).text("/etc/group", GROUPS, 0o644);
    let layer = layer.directory(data, 0o1777).directory("/docker-entrypoint-initdb.d", 0o755);
    layers.push(layer.text("/usr/local/bin/entrypoint.sh", &script(image)?, 0o755).write()?);
    Ok(from_scratch(layers, "/usr/local/bin/entrypoint.sh"))
}

/// What starts an image's server.
fn script(image: Image) -> Result<String> {
    let script = paths::repository().join("dev/images").join(image.name()).join("entrypoint.sh");
    fs::read_to_string(&script).with_context(|| format!("failed to read {}", script.display()))
}

/// Trino and the Java that it needs, as the recipe of the conformance suite has them. Debian gives the C library and curl, which the script
/// makes schemas with.
fn trino() -> Result<Recipe> {
    let Unpacked { version, server, java } = engines::trino()?;
    let mut layers = debian::layers(&["curl"])?;
    layers.push(layer::tree("/opt/java", &java, &format!("java of {version}"))?);
    layers.push(layer::tree("/opt/trino", &server, &version)?);
    let ground = Layer::default().text("/etc/passwd", ACCOUNTS, 0o644).text("/etc/group", GROUPS, 0o644);
    layers.push(ground.directory("/etc/trino", 0o755).text("/usr/local/bin/entrypoint.sh", &script(Image::Trino)?, 0o755).write()?);
    Ok(from_scratch(layers, "/usr/local/bin/entrypoint.sh"))
}

fn chaos_mesh(built: &ChaosMesh) -> Result<Recipe> {
    let path = "/usr/local/bin/chaos-controller-manager";
    let layer = Layer::default().file(path, &built.program("chaos-controller-manager"), 0o755);
    Ok(from_scratch(vec![ground()?, layer.write()?], path))
}

/// The daemon with what it calls: packet filters, address sets, traffic shaping and stress programs of Debian's, and the four
/// small programs, each at the place and under the name at which it looks for them.
fn chaos_daemon(built: &ChaosMesh) -> Result<Recipe> {
    let path = "/usr/local/bin/chaos-daemon";
    let mut layers = debian::layers(&["iptables", "ipset", "iproute2", "procps", "stress-ng"])?;
    let layer = Layer::default().file(path, &built.program("chaos-daemon"), 0o755);
    let layer = layer.file("/usr/local/bin/cdh", &built.program("chaos-daemon-helper"), 0o755);
    let layer = layer.file("/usr/local/bin/pause", &built.program("pause"), 0o755);
    let layer = layer.file("/usr/local/bin/nsexec", &built.program("nsexec"), 0o755);
    layers.push(layer.file("/usr/local/bin/memStress", &built.program("memstress"), 0o755).write()?);
    Ok(from_scratch(layers, path))
}
