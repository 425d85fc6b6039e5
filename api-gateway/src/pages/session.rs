//! How a browser shows its token: once in a form, from then on in a cookie that no script can read, that no other site's page can have sent
//! along, and that only pages are asked with. The token itself is what is kept, and the one gate looks at it every time: a token that is taken
//! away is out here as soon as everywhere. Nothing is remembered on this side.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use crucible_lifecycle::results::pieces::markup::text;
use serde::Deserialize;

use super::{
    door::origin,
    form,
    frame::{Frame, Here},
};
use crate::{
    auth::{self, Gate},
    error::ApiError,
    legacy::Asked,
    state::Gateway,
};

const COOKIE: &str = "crucible";
/// Browsers keep no cookie of more than 4096 bytes, its name and attributes included.
const LONGEST_TOKEN: usize = 2900;
/// Where whoever said nothing else goes.
const HOME: &str = "/ui/";

/// The token of the cookie as the header that the guard looks at. A header that is there already is what counts.
pub fn bring(headers: &mut HeaderMap) {
    if headers.contains_key(header::AUTHORIZATION) {
        return;
    }
    if let Some(mut bearer) = kept(headers).and_then(|token| bearer(&token)) {
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
    }
}

/// The token that the browser keeps. Two of them are none: one could be somebody else's.
fn kept(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let mut ours = cookies.filter_map(|cookie| cookie.trim().split_once('=')).filter(|(name, _)| *name == COOKIE).map(|(_, value)| value);
    let (Some(only), None) = (ours.next(), ours.next()) else { return None };
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(only).ok()?).ok()
}

fn bearer(token: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("Bearer {token}")).ok()
}

/// Where to go afterwards.
#[derive(Deserialize)]
pub struct After {
    next: Option<String>,
}

/// The form.
pub async fn show(State(gateway): State<Gateway>, Asked(After { next }): Asked<After>) -> Response {
    if matches!(gateway.gate, Gate::Open { .. }) {
        return Redirect::to(HOME).into_response();
    }
    Html(page(&gateway, &next.unwrap_or_default(), None)).into_response()
}

/// Lets a browser in, where the gate knows its token.
pub async fn begin(State(gateway): State<Gateway>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let fields = form::read(&head.headers, body).await?;
    let next = fields.get("next").map(String::as_str).unwrap_or_default();
    if matches!(gateway.gate, Gate::Open { .. }) {
        return Ok(Redirect::to(place(next)).into_response());
    }
    let token = fields.get("token").map_or("", |token| token.trim());
    let refused = |why: &str| Ok((StatusCode::UNAUTHORIZED, Html(page(&gateway, next, Some(why)))).into_response());
    if token.len() > LONGEST_TOKEN {
        return refused("the token is longer than a browser keeps");
    }
    let Some(bearer) = bearer(token) else { return refused("this is no token") };
    let shown = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
    let caller = match auth::admit(&gateway, &shown, &[], None).await {
        Ok(caller) => caller,
        Err(ApiError::Unauthenticated(_)) => return refused("the token is not valid here"),
        Err(error) => return Err(error),
    };
    let mut response = Redirect::to(place(next)).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie(&head.headers, &BASE64_URL_SAFE_NO_PAD.encode(token), "")?);
    response.extensions_mut().insert(caller);
    Ok(response)
}

/// Has the browser forget its token.
pub async fn end(headers: HeaderMap) -> Result<Response, ApiError> {
    let mut response = Redirect::to(HOME).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie(&headers, "", "; Max-Age=0")?);
    Ok(response)
}

/// The cookie ends with the browser. Where the browser speaks TLS, whoever ends that, it is never sent without.
fn cookie(headers: &HeaderMap, value: &str, more: &str) -> Result<HeaderValue, ApiError> {
    let secure = if origin(headers).is_some_and(|(scheme, _)| scheme == "https") { "; Secure" } else { "" };
    HeaderValue::try_from(format!("{COOKIE}={value}; Path=/ui; HttpOnly; SameSite=Strict{secure}{more}")).map_err(|error| ApiError::Internal(error.to_string()))
}

/// One of our own pages, or the first of them: nobody is sent elsewhere.
fn place(next: &str) -> &str {
    let ours = next.starts_with(HOME) && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') && !next.contains("//");
    if ours { next } else { HOME }
}

/// The page that asks for a token. `wrong` says why the last one was not taken.
pub fn page(gateway: &Gateway, next: &str, wrong: Option<&str>) -> String {
    let wrong = wrong.map(|why| format!("<p class=\"wrong\" role=\"alert\">You are not signed in: {}.</p>", text(why))).unwrap_or_default();
    let main = format!(
        "<div class=\"card\"><h1>Sign in</h1>{wrong}\
         <p>Pages ask for the same bearer token as the API does, with the same rights behind it.</p>\
         <form method=\"post\" action=\"/ui/login\" class=\"stacked\"><input type=\"hidden\" name=\"next\" value=\"{}\">\
         <label for=\"token\">Token</label><input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" required>\
         <button class=\"main\">Sign in</button></form>\
         <p class=\"soft\">In a cluster, <code>kubectl create token NAME --audience AUDIENCE</code> makes one. It is kept in a cookie until the browser is closed.</p></div>",
        text(place(next))
    );
    Frame { here: Here::Outside, ..Frame::new("Sign in", main) }.page(gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_becomes_the_header_unless_there_is_one() {
        let brought = |sent: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                headers.append(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
            }
            bring(&mut headers);
            headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned())
        };
        // `a;b` in base64url.
        assert_eq!(brought(&[("cookie", "x=1; crucible=YTti; y=2")]).as_deref(), Some("Bearer a;b"));
        assert_eq!(brought(&[("cookie", "crucible=YTti"), ("authorization", "Bearer c")]).as_deref(), Some("Bearer c"));
        for none in ["", "crucible", "crucible=", "crucible=%", "xcrucible=YTti", "crucible=YTti; crucible=YTti", "crucible=AAo"] {
            let none = brought(&[("cookie", none)]);
            assert!(none.as_deref().is_none_or(|header| header == "Bearer "), "{none:?}");
        }
        assert_eq!(brought(&[("cookie", "crucible=YTti"), ("cookie", "crucible=YTti")]), None);
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(place("/ui/runs/a_1?x=1"), "/ui/runs/a_1?x=1");
        for elsewhere in ["", "//elsewhere", "https://elsewhere", "/ui/\\elsewhere", "/ui//elsewhere", "/docs/", "/ui/\r\nset-cookie: a=b", "/ui/ä"] {
            assert_eq!(place(elsewhere), "/ui/", "{elsewhere:?}");
        }
    }

    #[test]
    fn the_cookie_is_for_pages_alone_and_for_tls_where_the_browser_speaks_it() {
        let of = |origin: &'static str| cookie(&HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]), "YQ", "").unwrap();
        assert_eq!(of("http://127.0.0.1:8000"), "crucible=YQ; Path=/ui; HttpOnly; SameSite=Strict");
        assert_eq!(of("https://crucible.example"), "crucible=YQ; Path=/ui; HttpOnly; SameSite=Strict; Secure");
    }
}
