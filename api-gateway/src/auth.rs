//! Who calls, and whether they may: a token becomes a caller, a caller's right becomes yes or no. Both answers come from the cluster's
//! API server and are believed for a few seconds.

mod remembered;
mod tokens;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::http::{HeaderMap, header};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest, Sha256};

use self::remembered::Remembered;
pub use self::tokens::{Known, StaticTokens, TokensError};
use crate::{
    access::{Place, Right},
    error::ApiError,
    state::Gateway,
    telemetry::Metrics,
};

/// How long an answer of the API server is believed: a right that is taken away is gone that soon.
const BELIEVED: Duration = Duration::from_secs(5);
/// How long the API server may take.
const ASKING: Duration = Duration::from_secs(5);
/// No token is longer.
const LONGEST_TOKEN: usize = 16 << 10;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller(Arc<Identity>);

/// Who calls, in the cluster's words.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity {
    user: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

impl Caller {
    /// The caller's name; `everybody` where nobody is asked.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.0.user
    }

    fn of(user: UserInfo) -> Self {
        let UserInfo { username, uid, groups, extra } = user;
        let (user, uid) = (username.unwrap_or_default(), uid.unwrap_or_default());
        Self(Arc::new(Identity { user, uid, groups: groups.unwrap_or_default(), extra: extra.unwrap_or_default() }))
    }
}

/// How callers are told apart.
pub enum Gate {
    /// They are not.
    Open {
        /// Who everybody is.
        everybody: Caller,
    },
    /// A file says whose a token is.
    Static {
        /// The file's content.
        tokens: StaticTokens,
        /// What was answered lately.
        rights: Rights,
    },
    /// The API server says whose a token is.
    Review {
        /// The audience that tokens have to be issued for.
        audience: String,
        /// Whose tokens were lately.
        callers: Remembered<[u8; 32], Option<Caller>>,
        /// What was answered lately.
        rights: Rights,
    },
}

/// Which callers lately had which rights, and in which namespace.
pub type Rights = Remembered<(Caller, Right, String), bool>;

impl Gate {
    /// Everybody may come in.
    #[must_use]
    pub fn open() -> Self {
        Self::Open { everybody: Caller::of(UserInfo { username: Some("everybody".to_owned()), ..UserInfo::default() }) }
    }

    /// Whoever has one of these tokens, with the rights that the cluster gives them.
    #[must_use]
    pub fn of_tokens(tokens: StaticTokens) -> Self {
        Self::Static { tokens, rights: Remembered::new(BELIEVED) }
    }

    /// Whoever has a token of the cluster for this audience, with the rights that the cluster gives them.
    #[must_use]
    pub fn of_reviews(audience: impl Into<String>) -> Self {
        Self::Review { audience: audience.into(), callers: Remembered::new(BELIEVED), rights: Remembered::new(BELIEVED) }
    }
}

/// The caller of a request, who has every right that is needed.
pub async fn admit(gateway: &Gateway, headers: &HeaderMap, needed: &[Right], named: Option<&str>) -> Result<Caller, ApiError> {
    let (caller, rights) = match &gateway.gate {
        Gate::Open { everybody } => {
            gateway.metrics.served_everybody();
            return Ok(everybody.clone());
        }
        Gate::Static { tokens, rights } => (tokens.caller(token(headers)?), rights),
        Gate::Review { audience, callers, rights } => {
            let token = token(headers)?;
            let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
            let asked = || review(&gateway.client, &gateway.metrics, audience, token);
            (callers.get_or_ask(key, asked).await?, rights)
        }
    };
    let caller = caller.ok_or(ApiError::Unauthenticated("the token is not valid here"))?;
    for right in needed {
        let namespace = match right.place {
            Place::Legacy => &gateway.settings.namespace,
            Place::Named => named.ok_or_else(|| ApiError::Internal("the route has no namespace".to_owned()))?,
        };
        let key = (caller.clone(), *right, namespace.to_owned());
        let allowed = rights.get_or_ask(key, || may(&gateway.client, &gateway.metrics, &caller, *right, namespace)).await?;
        if !allowed {
            let Right { verb, resource, .. } = right;
            return Err(ApiError::Forbidden(format!("{} may not {verb} {resource} in namespace {namespace}", caller.user())));
        }
    }
    Ok(caller)
}

/// The one bearer token of a request. Whatever stands in its address is none.
fn token(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (given.next(), given.next()) else {
        return Err(ApiError::Unauthenticated("exactly one Authorization header with a bearer token is needed"));
    };
    let words = only.to_str().ok().and_then(|text| text.split_once(' '));
    match words {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && is_token(token) => Ok(token),
        Some(_) | None => Err(ApiError::Unauthenticated("the Authorization header has no bearer token")),
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic())
}

async fn review(client: &Client, metrics: &Metrics, audience: &str, token: &str) -> Result<Option<Caller>, ApiError> {
    let spec = TokenReviewSpec { audiences: Some(vec![audience.to_owned()]), token: Some(token.to_owned()) };
    let answer = ask(client, metrics, &TokenReview { spec, ..TokenReview::default() }).await?;
    let status = answer.status.unwrap_or_default();
    // A server that knows nothing of audiences answers none; its word is about tokens for itself, which are not for us.
    let ours = status.audiences.iter().flatten().any(|given| given == audience);
    Ok(status.user.filter(|_| status.authenticated == Some(true) && ours).map(Caller::of))
}

async fn may(client: &Client, metrics: &Metrics, caller: &Caller, right: Right, namespace: &str) -> Result<bool, ApiError> {
    let Right { verb, resource, place: _ } = right;
    let Identity { user, uid, groups, extra } = &*caller.0;
    let attributes = ResourceAttributes {
        group: Some(crucible_crds::GROUP.to_owned()),
        namespace: Some(namespace.to_owned()),
        resource: Some(resource.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(user.clone()),
        uid: Some(uid.clone()).filter(|uid| !uid.is_empty()),
        groups: Some(groups.clone()),
        extra: Some(extra.clone()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let answer = ask(client, metrics, &SubjectAccessReview { spec, ..SubjectAccessReview::default() }).await?;
    Ok(answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
}

async fn ask<K>(client: &Client, metrics: &Metrics, question: &K) -> Result<K, ApiError>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    metrics.reviewed();
    let api: Api<K> = Api::all(client.clone());
    let unavailable = |cause: String| ApiError::Unavailable { what: "who may do what", cause };
    match tokio::time::timeout(ASKING, api.create(&PostParams::default(), question)).await {
        Ok(Ok(answer)) => Ok(answer),
        // A token never stands in an error of the client.
        Ok(Err(error)) => Err(unavailable(error.to_string())),
        Err(_) => Err(unavailable("time-out".to_owned())),
    }
}
