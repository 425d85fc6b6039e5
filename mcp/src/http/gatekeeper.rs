//! Whether a token is anybody's: the gateway is asked, and its word is believed for a few seconds. The gateway checks every
//! call again; this only lets a client with a bad token learn so by status, as the protocol wants it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    failure::Failure,
    gateway::{Gateway, Path, Token},
};

/// How long the gateway's word is believed.
const BELIEVED: Duration = Duration::from_secs(10);
/// How many tokens are remembered at most.
const MOST_TOKENS: usize = 1024;

/// Remembers which tokens the gateway accepted, by their digests.
pub struct Gatekeeper {
    gateway: Gateway,
    accepted: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Gatekeeper {
    /// Asks this gateway.
    pub fn new(gateway: Gateway) -> Self {
        Self { gateway, accepted: Mutex::default() }
    }

    /// Whether the gateway knows somebody behind the token. Where it cannot be asked the caller is let in, and told by the call itself.
    pub async fn knows(&self, token: &Token) -> bool {
        let digest: [u8; 32] = Sha256::digest(token.header().as_bytes()).into();
        if self.remembers(&digest) {
            return true;
        }
        let asked = self.gateway.session(Some(token.clone())).get::<Value>(&Path::to("/v1/sut/types")).await;
        match asked {
            Err(Failure::Unauthorized(_)) => return false,
            Ok(_) | Err(Failure::Forbidden(_)) => self.remember(digest),
            Err(_) => {}
        }
        true
    }

    fn remembers(&self, digest: &[u8; 32]) -> bool {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.get(digest).is_some_and(|at| at.elapsed() < BELIEVED)
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if accepted.len() >= MOST_TOKENS {
            accepted.retain(|_, at| at.elapsed() < BELIEVED);
        }
        if accepted.len() < MOST_TOKENS {
            accepted.insert(digest, Instant::now());
        }
    }
}
