//! Pages for people: what they show, what they never run, and who may see them.

use std::{collections::BTreeMap, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use crucible_api_gateway::{access::PAGES, args::Settings, auth::Gate};
use crucible_store::{Vault, ledger::memory::foreign_row};
use http::Request;
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::harness::{Answer, NAMESPACE, World};

const RUN: &str = "checkout_20260105-0800_00000001";
const FROM_HERE: (&str, &str) = ("sec-fetch-site", "same-origin");
pub const HOSTILE: &str = "</td><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{202e}";

pub fn text(answer: &Answer) -> String {
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8", "{answer:?}");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// The text of a page, which has this status.
pub async fn page(world: &World, path: &str, status: u16) -> String {
    let answer = world.get(path).await;
    assert_eq!(answer.status, status, "{path}: {answer:?}");
    let page = text(&answer);
    is_still(&page);
    page
}

/// A page in which nothing runs but our own file: its policy would stop it, and nothing is to rely on that.
fn is_still(page: &str) {
    assert!(page.starts_with("<!doctype html>"), "{page}");
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert!(page.contains("<script src=\"/ui/assets/app.js?"));
    let tags = page.split('<').filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag);
    for tag in tags {
        for forbidden in [" style=", " on", "javascript:", "http:", "https:"] {
            assert!(!tag.contains(forbidden) || tag.contains("onerror=alert(1)&gt;"), "{forbidden} in <{tag}>");
        }
    }
}

pub fn shows(page: &str, words: &[&str]) {
    for word in words {
        assert!(page.contains(word), "{word} is not in {page}");
    }
}

pub async fn put(world: &World, key: &str, content: &str) {
    world.vault.put(key, Bytes::copy_from_slice(content.as_bytes()), "", &BTreeMap::new()).await.unwrap();
}

/// A run that loads.
async fn loading(world: &World) {
    let status = json!({
        "runId": RUN, "phase": "Executing", "progress": "42%", "stage": "steady", "message": "The load is on", "workers": {"expected": 2, "ready": 2, "succeeded": 0, "lost": 0, "summary": "2/2"},
        "live": {"queriesPerSecond": "12345", "p95": "3.21ms", "errorRate": "0.02%"}, "startAt": "2026-01-05T07:59:00.000000Z", "endsAt": "2026-01-05T08:01:30.000000Z"
    });
    world.add_run("checkout-1", Value::Null, status).await;
}

/// A run that has ended with a verdict.
async fn failed(world: &World) {
    let check = |name: &str, held: bool| json!({"name": name, "limit": "< 5ms", "observed": "5.2ms", "held": held, "decided": true, "owner": "sut"});
    let status = json!({
        "runId": RUN, "phase": "Completed", "message": "The run has ended",
        "verdict": {"outcome": "Failed", "reasons": ["LimitBroken: p95 was 5.2ms, the limit is < 5ms"], "checks": [check("p95", false), check("p50", true)]},
        "transitions": [
            {"phase": "Pending", "at": "2026-01-05T08:00:00.000000Z", "reason": "AsExpected"},
            {"phase": "WaitingRoom", "at": "2026-01-05T08:00:01.500000Z", "reason": "Gathering"}
        ]
    });
    world.add_run("checkout-1", Value::Null, status).await;
}

#[tokio::test]
async fn the_list_has_every_run_as_it_is_now() {
    let world = World::open().await;
    let home = world.get("/").await;
    assert_eq!((home.status, &home.headers["location"]), (307, &"/ui/".parse().unwrap()));
    shows(&page(&world, "/ui/", 200).await, &["There is no run in namespace <code>crucible</code> yet."]);
    loading(&world).await;
    let mut row = foreign_row("imported_1", "COMPLETED", Timestamp::UNIX_EPOCH);
    (row.verdict, row.summary) = (Some("Passed".to_owned()), Some(json!({"measured": {"queriesPerSecond": "99.5", "p95": "850us"}})));
    world.ledger.insert(row);
    let list = page(&world, "/ui/", 200).await;
    shows(
        &list,
        &[
            &format!("<a class=\"id\" href=\"/ui/runs/{RUN}\">{RUN}</a>"),
            "<span class=\"phase live\">Executing</span>",
            "<progress max=\"100\" value=\"42\"",
            "<td class=\"n\">12,345</td><td class=\"n\">3.21\u{202f}ms</td>",
            "<a class=\"id\" href=\"/ui/runs/imported_1\">imported_1</a>",
            "<span class=\"mark good\">✓ Passed</span>",
            "<td class=\"n\">99.5</td><td class=\"n\">850\u{202f}µs</td>",
            "20458 d</time>",
        ],
    );
    assert!(list.find(RUN) < list.find("imported_1"), "newest first");
    world.ledger.set_down(true);
    shows(&page(&world, "/ui/", 200).await, &["The ledger cannot be reached right now", RUN]);
}

#[tokio::test]
async fn a_list_is_searched_by_plan_label_and_phase_and_read_page_by_page() {
    let world = World::open().await;
    loading(&world).await;
    for number in 0..120 {
        let mut row = foreign_row(&format!("{}_{number}", if number % 2 == 0 { "even" } else { "odd" }), "COMPLETED", Timestamp::from_second(number).unwrap());
        row.plan_name = Some(if number % 2 == 0 { "even" } else { "odd & sons" }.to_owned());
        row.run_label = Some(format!("label-{}", number % 3));
        world.ledger.insert(row);
    }
    let count = |page: &str| page.matches("<a class=\"id\"").count();
    let first = page(&world, "/ui/?plan=odd+%26+sons", 200).await;
    assert_eq!((count(&first), first.contains("even_")), (50, false));
    let next = first.split("<a rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    assert!(next.starts_with("/ui/?plan=odd+%26+sons&cursor="), "{next}");
    let second = page(&world, &next, 200).await;
    assert_eq!((count(&second), second.contains("rel=\"next\"")), (10, false));
    shows(&second, &["<a href=\"/ui/?plan=odd+%26+sons\">Newest</a>", "value=\"odd &amp; sons\""]);
    assert_eq!(count(&page(&world, "/ui/?label=label-2", 200).await), 40);
    assert_eq!(count(&page(&world, "/ui/?phase=Live", 200).await), 1);
    assert_eq!(count(&page(&world, "/ui/?phase=Executing&plan=&label=", 200).await), 1);
    shows(&page(&world, "/ui/?phase=Failed", 200).await, &["No run is like that."]);
}

#[tokio::test]
async fn a_run_that_loads_is_shown_with_its_figures_and_can_be_stopped() {
    let world = World::open().await;
    loading(&world).await;
    shows(
        &page(&world, &format!("/ui/runs/{RUN}"), 200).await,
        &[
            "<span class=\"word\" role=\"status\">Executing</span> · checkout",
            "The load is on",
            "<dt>answered per second</dt><dd>12,345</dd>",
            "<dt>errors</dt><dd>0.02\u{202f}%</dd>",
            "<dt>workers</dt><dd>2/2</dd>",
            "<dt>left</dt><dd>1:30</dd>",
            "<li class=\"done\">Waiting room</li><li class=\"now\" aria-current=\"step\">Executing</li><li class=\"ahead\">Collecting</li>",
            &format!("data-events=\"/ui/runs/{RUN}/events\""),
            "data-seconds=\"150\"",
            &format!("href=\"/ui/runs/{RUN}/stop\""),
            "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>",
        ],
    );
}

#[tokio::test]
async fn a_run_that_has_ended_is_shown_with_its_verdict_its_checks_and_its_report() {
    let world = World::open().await;
    failed(&world).await;
    let address = format!("/ui/runs/{RUN}");
    let bare = page(&world, &address, 200).await;
    shows(
        &bare,
        &[
            "<span class=\"word\">✗ Failed</span> · checkout",
            "<li>p95 was 5.2ms, the limit is &lt; 5ms</li>",
            "<span class=\"mark bad\">✗ broken</span>",
            "<th scope=\"row\">Pending</th><td><time datetime=\"2026-01-05T08:00:00Z\">2026-01-05 08:00:00 UTC</time></td><td class=\"n\">1.5\u{202f}s</td>",
        ],
    );
    assert!(!bare.contains("<iframe") && !bare.contains("/stop") && !bare.contains("http-equiv=\"refresh\""));
    assert!(page(&world, &format!("{address}/report"), 404).await.contains("has left no report"));
    put(&world, &format!("results/{RUN}/report.html"), "<!doctype html><script>alert(1)</script>").await;
    let frame = format!("<iframe class=\"report\" title=\"Report of {RUN}\" src=\"/ui/runs/{RUN}/report\" sandbox></iframe>");
    shows(&page(&world, &address, 200).await, &[&frame, "<details><summary>Checks</summary>"]);
    put(&world, &format!("results/{RUN}/histograms/worker-0.hlog"), "#[Histogram log format version 1.3]\n").await;
    let link = format!("<a class=\"id\" href=\"/ui/runs/{RUN}/files?name=histograms%2Fworker-0.hlog\">histograms/worker-0.hlog</a>");
    shows(&page(&world, &address, 200).await, &["<summary>Files</summary>", &link, "<td class=\"n\">36 B</td>"]);
    let way = world.get(&format!("{address}/files?name=histograms%2Fworker-0.hlog")).await;
    let to = way.headers["location"].to_str().unwrap();
    assert_eq!((way.status, &way.headers["cache-control"]), (303, &"no-store".parse().unwrap()));
    assert!(to.contains(&format!("results/{RUN}/histograms/worker-0.hlog")), "{to}");
    for (name, status) in [("other.json", 404), ("", 404), ("..%2Fother%2Fresults.json", 404)] {
        page(&world, &format!("{address}/files?name={name}"), status).await;
    }
    page(&world, &format!("{address}/files"), 422).await;
    page(&world, "/ui/runs/nobody_1/files?name=report.html", 404).await;
    let report = world.get(&format!("{address}/report")).await;
    assert_eq!((report.status, &report.body[..]), (200, &b"<!doctype html><script>alert(1)</script>"[..]));
    let policy = report.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("sandbox; default-src 'none'; style-src 'unsafe-inline';") && policy.ends_with("frame-ancestors 'self'"), "{policy}");
    world.vault.set_down(true);
    shows(&page(&world, &address, 200).await, &["Object storage cannot be reached right now", "✗ Failed"]);
    page(&world, &format!("{address}/report"), 503).await;
    world.vault.set_down(false);
    world.cluster.set_down(true);
    shows(&page(&world, &address, 200).await, &["The cluster cannot be reached right now", "✗ Failed", "<iframe"]);
}

#[tokio::test]
async fn a_run_that_only_the_ledger_remembers_has_a_page() {
    let world = World::open().await;
    let mut row = foreign_row("imported_1", "FAILED", Timestamp::UNIX_EPOCH);
    row.error_detail = Some("the host <did> not answer".to_owned());
    world.ledger.insert(row);
    shows(&page(&world, "/ui/runs/imported_1", 200).await, &["! Failed without results", "the host &lt;did&gt; not answer", "Nobody noted the steps"]);
    world.ledger.insert(foreign_row("imported_2", "EXECUTING", Timestamp::UNIX_EPOCH));
    let live = page(&world, "/ui/runs/imported_2", 200).await;
    assert!(live.contains("data-live=\"5\"") && !live.contains("data-events"), "{live}");
    page(&world, "/ui/runs/imported_2/events", 404).await;
}

#[tokio::test]
async fn a_run_is_stopped_by_a_form_of_ours_alone() {
    let world = World::open().await;
    loading(&world).await;
    let address = format!("/ui/runs/{RUN}/stop");
    let asked = page(&world, &address, 200).await;
    shows(&asked, &["Stop this run?", &format!("<form method=\"post\" action=\"{address}\"")]);
    let elsewhere: [&[(&str, &str)]; 5] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://elsewhere"), ("host", "gateway:8000")],
        &[("origin", "null"), ("host", "gateway:8000")],
    ];
    for headers in elsewhere {
        let answer = world.ask("POST", &address, headers, "").await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert!(text(&answer).contains("You may not do this"));
    }
    assert!(world.cluster.writes().is_empty());
    let stopped = world.ask("POST", &address, &[("origin", "http://gateway:8000"), ("host", "gateway:8000")], "").await;
    assert_eq!((stopped.status, stopped.headers["location"].to_str().unwrap()), (303, format!("/ui/runs/{RUN}").as_str()));
    assert_eq!(world.cluster.writes(), ["PATCH testruns/checkout-1"]);
    let run = page(&world, &format!("/ui/runs/{RUN}"), 200).await;
    assert!(run.contains("<span class=\"word\" role=\"status\">Stopping</span>") && !run.contains("/stop\""), "{run}");
    assert_eq!(world.get(&address).await.status, 303, "there is nothing to ask any more");
    assert_eq!(world.ask("POST", &address, &[FROM_HERE], "").await.status, 303, "stopping twice is stopping once");
    assert_eq!(world.cluster.writes().len(), 1);
    assert_eq!(world.ask("POST", "/ui/runs/nobody_1/stop", &[FROM_HERE], "").await.status, 404);
}

#[tokio::test]
async fn nothing_from_outside_can_become_markup() {
    let world = World::open().await;
    let spec = json!({"planRef": {"name": "checkout"}, "label": HOSTILE});
    for (name, phase) in [("live", "Executing"), ("ended", "Failed")] {
        let status = json!({"runId": format!("{name}_1"), "phase": phase, "message": HOSTILE, "stage": HOSTILE, "progress": HOSTILE,
            "live": {"queriesPerSecond": HOSTILE, "p95": HOSTILE, "errorRate": HOSTILE}, "plan": {"name": HOSTILE, "generation": 1, "digest": "", "configMap": "", "engine": HOSTILE},
            "verdict": {"outcome": "Failed", "reasons": [HOSTILE], "checks": [{"name": HOSTILE, "limit": HOSTILE, "observed": HOSTILE, "held": false, "decided": true, "owner": "sut"}]},
            "transitions": [{"phase": "Pending", "at": "2026-01-05T08:00:00.000000Z", "reason": HOSTILE}]});
        world.add_run(name, spec.clone(), status).await;
    }
    let mut row = foreign_row(HOSTILE, HOSTILE, Timestamp::UNIX_EPOCH);
    (row.plan_name, row.run_label, row.sut_type) = (Some(HOSTILE.to_owned()), Some(HOSTILE.to_owned()), Some(HOSTILE.to_owned()));
    world.ledger.insert(row);
    let script = "%3Cscript%3Ealert%281%29%3C%2Fscript%3E%22%27%3E%3Cimg+src%3Dx%3E";
    for path in [
        "/ui/".to_owned(),
        "/ui/runs/live_1".to_owned(),
        "/ui/runs/ended_1".to_owned(),
        "/ui/runs/live_1/stop".to_owned(),
        format!("/ui/?plan={script}&label={script}"),
    ] {
        let page = page(&world, &path, 200).await;
        for forbidden in ["<img", "alert(1)</script>", "\u{202e}", "<script>"] {
            assert!(!page.contains(forbidden), "{forbidden} in {path}");
        }
    }
    shows(&page(&world, "/ui/", 200).await, &["<span class=\"id\">&lt;/td&gt;&lt;script&gt;"]);
    for path in [format!("/ui/runs/{script}"), format!("/ui/{script}"), format!("/ui/?phase={script}"), format!("/ui/?cursor={script}")] {
        let answer = world.get(&path).await;
        assert!(matches!(answer.status, 404 | 422), "{path}");
        is_still(&text(&answer));
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_answered_by_a_page() {
    let world = World::open().await;
    let long = "a".repeat(400);
    for (path, status) in [
        ("/ui/runs/nobody_1", 404),
        ("/ui/runs/..%2F..%2Fx", 404),
        ("/ui/runs/a%00b", 404),
        ("/ui/runs/%ff", 404),
        ("/ui/runs/nobody_1/report", 404),
        ("/ui/runs/nobody_1/stop", 404),
        ("/ui/runs/nobody_1/events", 404),
        ("/ui/nowhere", 404),
        ("/ui/runs", 404),
        ("/ui/assets/nothing.js", 404),
        ("/ui/assets/%ff", 404),
        ("/ui/assets/..%2Fapp.js", 404),
        ("/ui/?phase=Finished", 422),
        ("/ui/?cursor=nonsense", 422),
        ("/ui/?label=a&label=b", 422),
        ("/ui/?label=%00", 422),
        (&format!("/ui/?plan={long}"), 422),
    ] {
        page(&world, path, status).await;
    }
    for (method, path) in [("POST", "/ui/"), ("DELETE", &*format!("/ui/runs/{RUN}")), ("GET", "/ui/logout"), ("PUT", "/ui/login")] {
        assert_eq!(world.ask(method, path, &[FROM_HERE], "").await.status, 405, "{method} {path}");
    }
    world.ledger.set_down(true);
    let away = world.get("/ui/runs/imported_1").await;
    assert_eq!((away.status, &away.headers["retry-after"]), (503, &"5".parse().unwrap()));
    shows(&text(&away), &["<meta http-equiv=\"refresh\" content=\"5\">", "The ledger cannot be reached right now"]);
    let packed = world.ask("GET", "/ui/", &[("content-encoding", "gzip")], "").await;
    assert_eq!(packed.status, 415);
    text(&packed);
    let unlisted = World::unlisted(Gate::open(), Settings { namespace: NAMESPACE.to_owned(), require_cluster_spec: false }, super::cluster::Cluster::default());
    page(&unlisted, "/ui/runs/nobody_1", 503).await;
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let world = World::open().await;
    loading(&world).await;
    for path in ["/ui/", &*format!("/ui/runs/{RUN}"), &*format!("/ui/runs/{RUN}/stop"), "/ui/nowhere"] {
        let answer = world.get(path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{part} for {path}");
        }
        assert!(!policy.contains("unsafe"));
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "same-origin"), ("cache-control", "no-store")]
        {
            assert_eq!(answer.headers[name], value, "{path}");
        }
    }
    let list = page(&world, "/ui/", 200).await;
    let named: Vec<&str> = list.split('"').filter(|word| word.starts_with("/ui/assets/")).collect();
    assert_eq!(named.len(), 3);
    for (name, kind) in named.into_iter().zip(["text/css; charset=utf-8", "image/svg+xml", "text/javascript; charset=utf-8"]) {
        let asset = world.get(name).await;
        assert_eq!((asset.status, &asset.headers["content-type"]), (200, &kind.parse().unwrap()), "{name}");
        assert!(asset.headers["cache-control"].to_str().unwrap().contains("immutable"));
    }
    assert!(!world.get("/health").await.headers.contains_key("content-security-policy"), "the API's answers are as they were");
}

/// A gateway that tells callers apart, which anna has a token for.
async fn guarded() -> World {
    let world = World::new(Gate::of_reviews("crucible"), Settings { namespace: NAMESPACE.to_owned(), require_cluster_spec: false }).await;
    world.cluster.add_token("token;of=anna", "anna", "crucible");
    for verb in ["get", "list", "watch"] {
        world.cluster.allow("anna", verb, "testruns", NAMESPACE);
    }
    loading(&world).await;
    world
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// What a browser sends back of the cookie that it was given.
fn cookie(answer: &Answer) -> String {
    answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_shows_a_token_once_sees_what_it_lets_them_see() {
    let world = guarded().await;
    let outside = page(&world, &format!("/ui/runs/{RUN}?x=%3C"), 401).await;
    shows(&outside, &["<form method=\"post\" action=\"/ui/login\"", &format!("name=\"next\" value=\"/ui/runs/{RUN}?x=%3C\"")]);
    assert!(!outside.contains("Executing"));
    for (fields, why) in
        [("token=wrong", "the token is not valid here"), ("token=", "is not valid here"), ("token=a%0Ab", "this is no token"), ("", "valid here")]
    {
        let refused = world.ask("POST", "/ui/login", &[FORM, FROM_HERE], fields).await;
        assert_eq!((refused.status, refused.headers.contains_key("set-cookie")), (401, false), "{fields}");
        assert!(text(&refused).contains(why), "{fields}: {}", text(&refused));
    }
    let long = format!("token={}", "a".repeat(3000));
    assert!(text(&world.ask("POST", "/ui/login", &[FORM, FROM_HERE], &long).await).contains("longer than a browser keeps"));
    assert_eq!(world.ask("POST", "/ui/login", &[FORM], "token=token%3Bof%3Danna").await.status, 403, "no other page signs anybody in");
    assert_eq!(world.ask("POST", "/ui/login", &[FORM, FROM_HERE], "token=a&token=b").await.status, 422);
    assert_eq!(world.ask("POST", "/ui/login", &[FROM_HERE], "token=a").await.status, 415);

    let fields = format!("token=token%3Bof%3Danna&next=%2Fui%2Fruns%2F{RUN}");
    let inside = world.ask("POST", "/ui/login", &[FORM, FROM_HERE, ("origin", "https://crucible.example")], &fields).await;
    assert_eq!((inside.status, inside.headers["location"].to_str().unwrap()), (303, format!("/ui/runs/{RUN}").as_str()));
    assert_eq!(inside.headers["set-cookie"], "crucible=dG9rZW47b2Y9YW5uYQ; Path=/ui; HttpOnly; SameSite=Strict; Secure");
    let cookie = cookie(&inside);
    let with = async |method: &str, path: &str| world.ask(method, path, &[("cookie", cookie.as_str()), FROM_HERE], "").await;
    let run = with("GET", &format!("/ui/runs/{RUN}")).await;
    assert_eq!(run.status, 200);
    shows(&text(&run), &["Executing", "Sign out"]);
    assert_eq!(with("GET", "/v1/test-runs").await.status, 401, "the cookie is for pages alone");
    let stop = with("POST", &format!("/ui/runs/{RUN}/stop")).await;
    assert_eq!(stop.status, 403);
    shows(&text(&stop), &["You may not do this", "Anna may not update testruns"]);
    assert!(world.cluster.writes().is_empty());
    let out = with("POST", "/ui/logout").await;
    assert_eq!((out.status, out.headers["set-cookie"].to_str().unwrap()), (303, "crucible=; Path=/ui; HttpOnly; SameSite=Strict; Max-Age=0"));
}

#[tokio::test]
async fn the_form_sends_nobody_elsewhere_and_is_not_there_where_nobody_is_asked() {
    let world = guarded().await;
    for next in ["https%3A%2F%2Felsewhere", "%2F%2Felsewhere", "%2Fui%2F%2Felsewhere", "%2Fdocs%2F"] {
        let answer = world.ask("POST", "/ui/login", &[FORM, FROM_HERE], &format!("token=token%3Bof%3Danna&next={next}")).await;
        assert_eq!((answer.status, &answer.headers["location"]), (303, &"/ui/".parse().unwrap()), "{next}");
    }
    let open = World::open().await;
    assert_eq!((open.get("/ui/login").await.status, open.ask("POST", "/ui/login", &[FORM, FROM_HERE], "token=x").await.status), (303, 303));
    assert!(!page(&open, "/ui/", 200).await.contains("Sign out"));
}

#[tokio::test]
async fn a_page_is_asked_for_with_one_cookie_or_none() {
    let world = guarded().await;
    let given = world.ask("POST", "/ui/login", &[FORM, FROM_HERE], "token=token%3Bof%3Danna").await;
    let cookie = cookie(&given);
    for (sent, status) in [(cookie.clone(), 200), (format!("{cookie}; {cookie}"), 401), (format!("a=b; {cookie}; c"), 200), ("crucible=%%%".to_owned(), 401)] {
        assert_eq!(world.ask("GET", "/ui/", &[("cookie", &sent)], "").await.status, status, "{sent}");
    }
    let other = world.ask("GET", "/ui/", &[("cookie", &cookie), ("authorization", "Bearer wrong")], "").await;
    assert_eq!(other.status, 401, "the header is what counts");
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_look_any_more_hears_nothing_more_on_their_page() {
    let world = guarded().await;
    let request = || Request::get(format!("/ui/runs/{RUN}/events")).header("cookie", "crucible=dG9rZW47b2Y9YW5uYQ").body(Body::empty()).unwrap();
    let response = world.stream(request()).await;
    assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    let mut stream = response.into_body();
    let mut next = async || {
        let frame = tokio::time::timeout(Duration::from_mins(1), stream.frame()).await.expect("nothing came for a minute")?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    };
    assert!(next().await.unwrap().contains("event: run\ndata: {\"name\":\"checkout-1\""));
    world.cluster.remove_token("token;of=anna");
    loop {
        let said = next().await.unwrap();
        if said.starts_with("event: denied") {
            break;
        }
        assert!(said.starts_with(':'), "{said}");
    }
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn every_page_is_in_the_list() {
    let world = World::open().await;
    for page in PAGES {
        let path = page.path.replace("{run_id}", "nobody_1").replace("{name}", "nobody").replace("{fixture_id}", "nothing");
        let answer = world.ask(page.method.as_str(), &path, &[FROM_HERE], "").await;
        assert_ne!(answer.status, 405, "{page:?}");
        assert!(answer.status == 200 || !text(&answer).contains("nothing at this address"), "{page:?}");
    }
}
