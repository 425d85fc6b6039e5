//! The files that pages consist of, out of the program itself. Their addresses hold their digest, so that a browser keeps them for as long as
//! they are the same.

use std::sync::LazyLock;

use axum::{
    extract::{Path, rejection::PathRejection},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use crucible_lifecycle::results::pieces::STYLE;
use sha2::{Digest, Sha256};

use crate::{error::ApiError, state::hex};

const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// A file.
struct Asset {
    name: &'static str,
    kind: HeaderValue,
    content: String,
    digest: String,
}

/// Pages look like reports, and have a little more.
static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    let asset = |name: &'static str, kind: &'static str, content: String| {
        let digest = hex(&Sha256::digest(content.as_bytes()), 6);
        Asset { name, kind: HeaderValue::from_static(kind), content, digest }
    };
    [
        asset("style.css", "text/css; charset=utf-8", [STYLE, include_str!("style.css")].concat()),
        asset("app.js", "text/javascript; charset=utf-8", include_str!("app.js").to_owned()),
        asset("icon.svg", "image/svg+xml", include_str!("icon.svg").to_owned()),
    ]
});

/// Where a file is.
pub fn address(name: &str) -> String {
    let digest = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| asset.digest.as_str());
    format!("/ui/assets/{name}?{digest}")
}

/// A file.
pub async fn asset(file: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    let asset = file.ok().and_then(|Path(file)| ASSETS.iter().find(|asset| asset.name == file));
    let asset = asset.ok_or_else(|| ApiError::NotFound("there is no such file".to_owned()))?;
    Ok(([(header::CONTENT_TYPE, asset.kind.clone()), (header::CACHE_CONTROL, KEPT)], asset.content.as_str()).into_response())
}
