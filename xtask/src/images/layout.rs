//! An image in the OCI layout: configuration, manifest and index above layers of the cache. The layout is streamed as one tar file into
//! containerd, or written as one for kind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Image;
use super::hash::hash_file;
use super::layer::Blob;
use crate::{paths, program, say};

/// What the image's programs run as: nobody's account on any machine.
pub const USER: &str = "65532:65532";

/// What an image is made of.
pub struct Recipe {
    /// From the bottom up
    pub layers: Vec<Blob>,
    /// The program and its first arguments
    pub entrypoint: Vec<String>,
    /// `NAME=value`
    pub environment: Vec<String>,
}

/// An image in the cache.
#[derive(Clone, Debug)]
pub struct Built {
    reference: String,
    digest: String,
    layout: PathBuf,
}

impl Recipe {
    /// Writes the image's documents into the cache, with links to its layers.
    pub fn lay_out(&self, image: Image) -> Result<Built> {
        // Written beside its place, then given a name that no other content has: another command may be reading the last one.
        let images = paths::cache()?.join("images");
        let draft = images.join(format!("{}.{}.draft", image.name(), std::process::id()));
        let _ = fs::remove_dir_all(&draft);
        let blobs = draft.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("failed to make {}", blobs.display()))?;
        let mut layers = Vec::new();
        for layer in &self.layers {
            let blob = blobs.join(&layer.digest);
            fs::hard_link(&layer.file, &blob).with_context(|| format!("failed to link {}", blob.display()))?;
            layers.push(descriptor("application/vnd.oci.image.layer.v1.tar", &layer.digest, layer.size));
        }
        let configuration = write_blob(&blobs, "application/vnd.oci.image.config.v1+json", &self.configuration())?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": configuration, "layers": layers,
        });
        let mut manifest = write_blob(&blobs, "application/vnd.oci.image.manifest.v1+json", &manifest)?;
        let digest = manifest["digest"].as_str().unwrap_or_default().to_string();
        manifest["annotations"] = json!({"io.containerd.image.name": image.reference(), "org.opencontainers.image.ref.name": "dev"});
        write_json(&draft.join("index.json"), &json!({"schemaVersion": 2, "manifests": [manifest]}))?;
        write_json(&draft.join("oci-layout"), &json!({"imageLayoutVersion": "1.0.0"}))?;
        let layout = images.join(format!("{}-{}", image.name(), digest.trim_start_matches("sha256:").get(..16).unwrap_or_default()));
        if layout.is_dir() {
            fs::remove_dir_all(&draft).with_context(|| format!("failed to remove {}", draft.display()))?;
        } else {
            fs::rename(&draft, &layout).with_context(|| format!("failed to move {} into its place", draft.display()))?;
            forget_old(&images);
        }
        Ok(Built { reference: image.reference(), digest, layout })
    }

    fn configuration(&self) -> Value {
        let layers: Vec<String> = self.layers.iter().map(|layer| format!("sha256:{}", layer.digest)).collect();
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        json!({
            "architecture": architecture,
            "os": "linux",
            "config": {"User": USER, "Env": self.environment, "Entrypoint": self.entrypoint, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": layers},
        })
    }
}

impl Built {
    /// What tells this content from any other of the same name.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Imports the image into the embedded cluster's containerd, where it is not there already.
    pub fn import_into_containerd(&self, state: &Path) -> Result<()> {
        let ctr = || {
            let mut command = program::command("ctr");
            command.arg("--address").arg(state.join("containerd.sock")).args(["--namespace", "k8s.io", "images"]);
            command
        };
        let present = program::output(ctr().args(["list", &format!("name=={}", self.reference)]))?;
        if present.contains(&self.digest) {
            return Ok(());
        }
        say::step(format!("loading image {}", self.reference));
        let mut tar = self.tar().arg("--file=-").stdout(Stdio::piped()).spawn().context("failed to start tar")?;
        let stream = tar.stdout.take().context("failed to read from tar")?;
        let import = ctr().args(["import", "-"]).stdin(stream).output().context("failed to start ctr")?;
        let packed = tar.wait().context("failed to wait for tar")?;
        if !import.status.success() || !packed.success() {
            bail!("failed to load image {}: {}", self.reference, String::from_utf8_lossy(&import.stderr).trim());
        }
        Ok(())
    }

    /// Writes the image as one archive for as long as `load` reads it.
    pub fn with_archive(&self, load: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let archive = self.layout.with_extension(format!("{}.tar", std::process::id()));
        program::run(self.tar().arg("--file").arg(&archive))?;
        let loaded = load(&archive);
        fs::remove_file(&archive).with_context(|| format!("failed to remove {}", archive.display()))?;
        loaded
    }

    fn tar(&self) -> std::process::Command {
        let mut tar = program::command("tar");
        // The members come before --file on purpose: tar takes options and names in any order.
        tar.args(["--create", "--directory"]).arg(&self.layout).args(["blobs", "index.json", "oci-layout"]);
        tar
    }
}

/// What was laid out more than a day ago is made again from its layers where it is wanted.
fn forget_old(images: &Path) {
    let Ok(entries) = fs::read_dir(images) else { return };
    for layout in entries.flatten().map(|entry| entry.path()) {
        let age = fs::metadata(&layout).and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age.as_secs() > 24 * 3600) {
            let _ = fs::remove_dir_all(&layout);
        }
    }
}

fn write_blob(blobs: &Path, kind: &str, document: &Value) -> Result<Value> {
    let draft = blobs.join("draft");
    let size = write_json(&draft, document)?;
    let digest = hash_file(&draft)?;
    fs::rename(&draft, blobs.join(&digest)).with_context(|| format!("failed to move {} into its place", draft.display()))?;
    Ok(descriptor(kind, &digest, size))
}

fn write_json(file: &Path, document: &Value) -> Result<u64> {
    let text = document.to_string();
    fs::write(file, &text).with_context(|| format!("failed to write {}", file.display()))?;
    Ok(text.len() as u64)
}

fn descriptor(kind: &str, digest: &str, size: u64) -> Value {
    json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": size})
}
