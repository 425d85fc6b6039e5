//! One layer of an image: a list of files, turned into a tar file once and kept under the hash of that list.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::hash::{hash_file, hash_text};
use crate::{paths, program, say};

/// Counted up where the way in which layers are written changes, so that old ones are not taken for new.
const FORM: u32 = 1;

/// A finished layer in the cache.
#[derive(Clone, Debug)]
pub struct Blob {
    /// SHA-256 of the tar file, in hexadecimal
    pub digest: String,
    /// Bytes
    pub size: u64,
    /// Where it lies
    pub file: PathBuf,
}

/// What a layer will hold.
#[derive(Default)]
pub struct Layer {
    entries: Vec<Entry>,
}

struct Entry {
    /// Path in the image, without the leading slash
    path: String,
    mode: u32,
    content: Content,
}

enum Content {
    Copy(PathBuf),
    /// A program, without its symbols
    Stripped(PathBuf),
    Text(String),
    Directory,
}

impl Layer {
    /// A file of this machine.
    pub fn file(mut self, path: &str, source: &Path, mode: u32) -> Self {
        self.push(path, mode, Content::Copy(source.to_path_buf()));
        self
    }

    /// A program of this machine, stripped of its symbols on the way.
    pub fn program(mut self, path: &str, source: &Path) -> Self {
        self.push(path, 0o755, Content::Stripped(source.to_path_buf()));
        self
    }

    /// A file with this text.
    pub fn text(mut self, path: &str, text: &str, mode: u32) -> Self {
        self.push(path, mode, Content::Text(text.to_string()));
        self
    }

    /// A directory of its own mode; those above files are made anyway.
    pub fn directory(mut self, path: &str, mode: u32) -> Self {
        self.push(path, mode, Content::Directory);
        self
    }

    /// Writes the tar file, or finds it in the cache.
    pub fn write(&self) -> Result<Blob> {
        let key = hash_text(&self.describe()?)?;
        stored(&key, |target| {
            let stage = target.with_extension("stage");
            let _ = fs::remove_dir_all(&stage);
            for entry in &self.entries {
                entry.stage(&stage)?;
            }
            // No times, names or owners of this machine: the same files make the same layer anywhere.
            let mut tar = program::command("tar");
            tar.args(["--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--file"]).arg(target);
            program::run(tar.arg("--directory").arg(&stage).arg("."))?;
            fs::remove_dir_all(&stage).with_context(|| format!("failed to remove {}", stage.display()))
        })
    }

    fn push(&mut self, path: &str, mode: u32, content: Content) {
        self.entries.push(Entry { path: path.trim_start_matches('/').to_string(), mode, content });
    }

    fn describe(&self) -> Result<String> {
        let mut lines = vec![format!("form {FORM}")];
        for entry in &self.entries {
            let content = match &entry.content {
                Content::Copy(source) => format!("copy {}", hash_file(source)?),
                Content::Stripped(source) => format!("stripped {}", hash_file(source)?),
                Content::Text(text) => format!("text {text:?}"),
                Content::Directory => "directory".into(),
            };
            lines.push(format!("{} {:o} {content}", entry.path, entry.mode));
        }
        Ok(lines.join("\n"))
    }
}

impl Entry {
    fn stage(&self, stage: &Path) -> Result<()> {
        let target = stage.join(&self.path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).with_context(|| format!("failed to make {}", parent.display()))?;
        }
        let failed = || format!("failed to write {} into an image layer", self.path);
        match &self.content {
            Content::Copy(source) => drop(fs::copy(source, &target).with_context(failed)?),
            Content::Stripped(source) => program::run(program::command("strip").arg("-o").arg(&target).arg(source)).with_context(failed)?,
            Content::Text(text) => fs::write(&target, text).with_context(failed)?,
            Content::Directory => fs::create_dir_all(&target).with_context(failed)?,
        }
        fs::set_permissions(&target, fs::Permissions::from_mode(self.mode)).with_context(failed)
    }
}

/// A layer with everything below `source` at `path`. Its content is not looked at: `key` names its version.
pub fn tree(path: &str, source: &Path, key: &str) -> Result<Blob> {
    stored(&hash_text(&format!("tree {FORM} {path} {key}"))?, |target| {
        let mut tar = program::command("tar");
        tar.args(["--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--hard-dereference"]);
        tar.arg(format!("--transform=s|^\\.|.{path}|rS")).arg("--mode=a+rX").arg("--file").arg(target);
        program::run(tar.arg("--directory").arg(source).arg("."))
    })
}

/// Answers the layer kept under `key`, made first by `make` where there is none.
pub fn stored(key: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<Blob> {
    let directory = paths::cache()?.join("layers");
    fs::create_dir_all(&directory).with_context(|| format!("failed to make {}", directory.display()))?;
    let file = directory.join(format!("{key}.tar"));
    let digest_file = directory.join(format!("{key}.digest"));
    if !digest_file.is_file() || !file.is_file() {
        let draft = directory.join(format!("{key}.{}.draft", std::process::id()));
        make(&draft)?;
        fs::rename(&draft, &file).with_context(|| format!("failed to move {} into its place", draft.display()))?;
        let digest = hash_file(&file)?;
        fs::write(&digest_file, digest).with_context(|| format!("failed to write {}", digest_file.display()))?;
        forget_old(&directory);
    }
    let digest = fs::read_to_string(&digest_file).with_context(|| format!("failed to read {}", digest_file.display()))?;
    let size = fs::metadata(&file).with_context(|| format!("failed to read {}", file.display()))?.len();
    // What is in use stays young.
    let _ = fs::File::options().append(true).open(&digest_file).and_then(|file| file.set_modified(std::time::SystemTime::now()));
    Ok(Blob { digest, size, file })
}

/// Every rebuilt program leaves a layer behind; those unused for three days go.
fn forget_old(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for digest_file in entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "digest")) {
        let age = fs::metadata(&digest_file).and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age.as_secs() > 3 * 24 * 3600) {
            say::note(format!("forgetting the unused layer {}", digest_file.display()));
            let _ = fs::remove_file(digest_file.with_extension("tar"));
            let _ = fs::remove_file(&digest_file);
        }
    }
}
