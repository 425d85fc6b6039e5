use serde_json::json;

use super::*;

fn source(fields: &Value) -> PrometheusSource {
    let mut source = json!({"name": "engine", "metrics": [{"name": "qps", "query": "up"}]});
    source.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(source).unwrap()
}

fn allowed() -> Vec<Server> {
    serde_json::from_value(json!([
        {"name": "cluster", "url": "http://prometheus.monitoring.svc:9090"},
        {"name": "outside", "url": "https://Metrics.example/prometheus/"},
    ]))
    .unwrap()
}

#[test]
fn only_servers_on_the_operators_list_are_meant() {
    let cases = [
        (json!({"source": "cluster"}), Some("cluster")),
        (json!({"source": "Cluster"}), None),
        (json!({"source": "elsewhere"}), None),
        (json!({"url": "http://prometheus.monitoring.svc:9090"}), Some("cluster")),
        (json!({"url": "http://Prometheus.Monitoring.svc:9090/"}), Some("cluster")),
        (json!({"url": "https://metrics.example:443/prometheus"}), Some("outside")),
        (json!({"url": "https://metrics.example/Prometheus"}), None),
        (json!({"url": "https://metrics.example/prometheus/../admin"}), None),
        (json!({"url": "http://metrics.example/prometheus"}), None),
        (json!({"url": "http://prometheus.monitoring.svc"}), None),
        (json!({"url": "http://prometheus.monitoring.svc:9090.evil.example"}), None),
        (json!({"url": "http://prometheus.monitoring.svc:9090@evil.example"}), None),
        (json!({"url": "http://169.254.169.254/"}), None),
        (json!({"url": "http://[::ffff:7f00:1]:9090"}), None),
        (json!({"url": "http://0x7f000001:9090"}), None),
        (json!({"url": "http://kubernetes.default.svc"}), None),
        (json!({"url": "file:///etc/passwd"}), None),
        (json!({"url": "prometheus.monitoring.svc:9090"}), None),
        (json!({"source": "cluster", "url": "http://prometheus.monitoring.svc:9090"}), None),
        (json!({}), None),
    ];
    for (fields, expected) in cases {
        let meant = server_of(&source(&fields), &allowed()).map(|server| server.name.clone());
        assert_eq!(meant.as_deref(), expected, "{fields}");
    }
}

#[test]
fn a_long_load_is_read_in_longer_steps() {
    let from: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    // The load in seconds, the resolution, the most points, the step in milliseconds.
    let cases = [
        (60, "15s", 500, 15_000),
        (7_485, "15s", 500, 15_000),
        (7_500, "15s", 500, 15_031),
        (86_400, "15s", 500, 173_147),
        (86_400, "1s", 11_000, 7_856),
        (60, "1s", 1, 60_000),
        (60, "1s", 2, 60_000),
        (60, "5m", 500, 300_000),
        (0, "1s", 1, 1_000),
    ];
    for (seconds, resolution, points, millis) in cases {
        let window = Window { from, to: from + jiff::SignedDuration::from_secs(seconds) };
        let step = window.step(&source(&json!({"source": "cluster", "resolution": resolution, "maxPoints": points})));
        assert_eq!(step.as_millis(), millis, "{seconds} s by {resolution}, at most {points}");
    }
}

fn taken(answers: &[Result<&str, &str>]) -> SourceReading {
    let mut reading = SourceReading::of(&source(&json!({"source": "cluster"})), allowed().first());
    for answer in answers {
        reading.take("qps", "sum(rate(x[1m]))", answer.map(str::as_bytes).map_err(str::to_owned));
    }
    reading
}

#[test]
fn one_series_is_kept_as_existing_clients_read_it() {
    let reading = taken(&[Ok(
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"x"},"values":[[1772366400,"12.5"],[1772366415.5,"NaN"]]}]}}"#,
    )]);
    assert_eq!(
        reading.to_json(),
        json!({
            "name": "engine", "url": "http://prometheus.monitoring.svc:9090",
            "metrics": [{"name": "qps", "query": "sum(rate(x[1m]))", "values": [[1_772_366_400, "12.5"], [1_772_366_415.5, "NaN"]]}],
        })
    );
    assert_eq!(reading.problems, [""; 0]);
}

#[test]
fn several_series_are_told_apart_by_their_labels() {
    let reading =
        taken(&[Ok(r#"{"data":{"resultType":"matrix","result":[{"metric":{"pod":"a"},"values":[[1,"1"]]},{"metric":{"pod":"b"},"values":[[1,"2"]]}]}}"#)]);
    assert_eq!(
        reading.to_json()["metrics"],
        json!([
            {"name": "qps", "query": "sum(rate(x[1m]))", "labels": {"pod": "a"}, "values": [[1, "1"]]},
            {"name": "qps", "query": "sum(rate(x[1m]))", "labels": {"pod": "b"}, "values": [[1, "2"]]},
        ])
    );
}

#[test]
fn a_question_without_an_answer_has_no_values_and_says_why_without_repeating_what_came() {
    let reading = taken(&[
        Ok(r#"{"data":{"resultType":"matrix","result":[]}}"#),
        Err("was refused with status 400"),
        Ok("<html>root:x:0:0</html>"),
        Ok(r#"{"data":{"resultType":"vector","result":[]}}"#),
        Ok(r#"{"status":"error","errorType":"bad_data","error":"secret"}"#),
    ]);
    assert!(reading.series.iter().all(|series| series.values.is_empty() && series.metric == "qps"));
    assert_eq!(reading.series.len(), 5);
    assert_eq!(
        reading.problems,
        [
            "Metric \"qps\" of Prometheus source \"engine\" was refused with status 400.",
            "Metric \"qps\" of Prometheus source \"engine\" was answered with something that is no range of values.",
            "Metric \"qps\" of Prometheus source \"engine\" was answered with something that is no range of values.",
            "Metric \"qps\" of Prometheus source \"engine\" was answered with something that is no range of values.",
        ]
    );
}

#[test]
fn what_is_kept_is_bounded_and_says_so() {
    let series = |count: usize, values: usize| {
        let values = vec!["[1,\"1\"]"; values].join(",");
        let series: Vec<String> = (0..count).map(|number| format!("{{\"metric\":{{\"n\":\"{number}\"}},\"values\":[{values}]}}")).collect();
        format!("{{\"data\":{{\"resultType\":\"matrix\",\"result\":[{}]}}}}", series.join(","))
    };
    let kept = |answers: &[String]| {
        let reading = taken(&answers.iter().map(|answer| Ok(answer.as_str())).collect::<Vec<_>>());
        (reading.series.len(), reading.series.iter().map(|series| series.values.len()).sum::<usize>(), reading.problems)
    };
    let too_many = "Metric \"qps\" of Prometheus source \"engine\" has more values than are kept.".to_owned();
    assert_eq!(kept(&[series(50, 1000)]), (50, 50_000, vec![]));
    assert_eq!(kept(&[series(51, 1)]), (50, 50, vec![too_many.clone()]));
    assert_eq!(kept(&[series(4, 11_000), series(1, 11_000)]), (5, 50_000, vec![too_many]));
}

#[test]
fn a_source_that_is_not_on_the_list_is_named() {
    let elsewhere = source(&json!({"name": "elsewhere", "url": "http://169.254.169.254/latest"}));
    let reading = SourceReading::of(&elsewhere, server_of(&elsewhere, &allowed()));
    assert_eq!(reading.problems, ["Prometheus source \"elsewhere\" is not on the operator's list."]);
    assert_eq!(reading.to_json(), json!({"name": "elsewhere", "url": "http://169.254.169.254/latest", "metrics": []}));
}
