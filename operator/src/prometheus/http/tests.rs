use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crucible_lifecycle::results::observability::Window;

fn server(url: &str) -> Server {
    serde_json::from_value(serde_json::json!({"name": "cluster", "url": url})).unwrap()
}

fn range(query: &str) -> Range<'_> {
    let window = Window { from: "2026-03-01T12:00:00.25Z".parse().unwrap(), to: "2026-03-01T12:01:00Z".parse().unwrap() };
    Range { query, window, step: Duration::from_millis(15_031) }
}

/// Answers one connection with these bytes; gives back the address and what was asked.
async fn answering(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        let mut piece = [0; 4096];
        while !asked.ends_with(b"=15.031") {
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "the question broke off");
            asked.extend_from_slice(&piece[..read]);
        }
        // A client that has read enough hangs up.
        let _ = stream.write_all(&answer).await;
        String::from_utf8(asked).unwrap()
    });
    (format!("http://localhost:{port}/prometheus"), asked)
}

fn with_length(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nLocation: http://169.254.169.254/\r\n\r\n").as_bytes(), body].concat()
}

#[tokio::test]
async fn a_question_goes_as_a_form_to_the_servers_own_path() {
    let (url, asked) = answering(with_length("200 OK", 4, b"data")).await;
    let answer = HttpPrometheus::new().unwrap().query_range(&server(&url), &range("sum(rate(x{a=\"b&c\"}[1m])) + 1")).await;
    assert_eq!(answer, Ok(Bytes::from_static(b"data")));
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("POST /prometheus/api/v1/query_range HTTP/1.1\r\n"), "{asked}");
    let form = "query=sum%28rate%28x%7Ba%3D%22b%26c%22%7D%5B1m%5D%29%29%20%2B%201&start=1772366400.250&end=1772366460.000&step=15.031";
    assert!(asked.ends_with(&format!("\r\n\r\n{form}")), "{asked}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_others_and_not_followed() {
    for status in ["302 Found", "307 Temporary Redirect", "400 Bad Request", "503 Service Unavailable"] {
        let (url, _) = answering(with_length(status, 0, b"")).await;
        let answer = HttpPrometheus::new().unwrap().query_range(&server(&url), &range("up")).await;
        assert_eq!(answer, Err(AskError::Refused(status[..3].parse().unwrap())));
    }
}

#[tokio::test]
async fn an_answer_is_read_up_to_a_length() {
    let long = vec![b'x'; LONGEST_ANSWER + 1];
    for (body, expected) in [(&long[..LONGEST_ANSWER], Ok(LONGEST_ANSWER)), (&long, Err(AskError::TooLong))] {
        let (url, _) = answering(with_length("200 OK", body.len(), body)).await;
        let answer = HttpPrometheus::new().unwrap().query_range(&server(&url), &range("up")).await;
        assert_eq!(answer.map(|body| body.len()), expected);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let (url, _) = answering(with_length("200 OK", 100, b"half")).await;
    let answer = HttpPrometheus::new().unwrap().query_range(&server(&url), &range("up")).await;
    assert_eq!(answer, Err(AskError::Unreachable));
}

#[tokio::test]
async fn a_host_that_leads_to_the_metadata_of_a_cloud_is_not_asked() {
    let hosts = ["169.254.169.254", "0.0.0.0:9090", "[fe80::1]:9090", "[::ffff:a9fe:a9fe]", "[::ffff:0:0]", "[fd00:ec2::254]", "224.0.0.1"];
    for host in hosts {
        let answer = HttpPrometheus::new().unwrap().query_range(&server(&format!("http://{host}/")), &range("up")).await;
        assert_eq!(answer, Err(AskError::Forbidden), "{host}");
    }
}

#[tokio::test]
async fn a_name_is_let_through_only_to_addresses_that_may_be_asked() {
    let resolved = |name: &str| Checked.call(name.parse().unwrap());
    assert!(resolved("localhost").await.unwrap().all(|address| address.ip().is_loopback()));
    let error = resolved("169.254.169.254").await.unwrap_err();
    assert!(error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Astray>), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let answer = HttpPrometheus::new().unwrap().query_range(&server(&format!("http://127.0.0.1:{port}")), &range("up")).await;
    assert_eq!(answer, Err(AskError::Unreachable));
}
