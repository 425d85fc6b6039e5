//! The socket between this process and the k6 extension: one JSON object per line. The worker listens, k6 connects
//! once. Numbers go to the recorder, news to the supervisor, orders come from whoever holds the sender.

use std::{io, path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream, unix::OwnedReadHalf, unix::OwnedWriteHalf},
    sync::mpsc,
    time::Instant,
};

use crate::{clock, record::Note};

/// The longest line that is accepted: a second with every query, stage and outcome of the largest plan is far shorter.
const LONGEST_LINE: u64 = 64 << 20;

/// What k6 says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum FromK6 {
    /// Whether the system under test is there, lets us in and understands every query.
    Preflight(Preflight),
    /// Every virtual user has its connection.
    Ready {},
    /// The first query went out.
    #[serde(rename_all = "camelCase")]
    Started {
        /// When it did.
        first_query_unix_nanos: i64,
        /// How long after the agreed instant that was.
        late_nanos: i64,
    },
    /// What happened in one second.
    Interval(Interval),
    /// What errors looked like.
    Errors {
        /// The samples.
        samples: Vec<ErrorSample>,
    },
    /// No new query is sent.
    Stopping {
        /// Why, in one word.
        why: String,
    },
    /// Nothing follows.
    Finished(Finished),
    /// A word of a newer extension. It is not for us.
    #[serde(other)]
    Unknown,
}

/// The answer of the preflight.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// Whether the load can run.
    pub ok: bool,
    /// The version that the system under test gave.
    #[serde(default)]
    pub server_version: Option<String>,
    /// Why the load cannot run: a word of [`crucible_crds::Reason`].
    #[serde(default)]
    pub reason: String,
    /// The query that is the reason, where it is one.
    #[serde(default)]
    pub query: String,
    /// What the driver said.
    #[serde(default)]
    pub message: String,
}

/// What happened in one second. The same second may come again, never an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Interval {
    /// Whole seconds since the agreed instant.
    pub second: u64,
    /// One record per query, stage and outcome that occurred.
    pub records: Vec<Record>,
    /// Virtual users at work.
    #[serde(default)]
    pub vus: u32,
    /// How often a virtual user got a new connection.
    #[serde(default)]
    pub reconnects: u64,
    /// What is new of the arrivals, by stage; only in the open model.
    #[serde(default)]
    pub arrivals: Vec<ArrivalsOf>,
    /// Arrivals that waited for a free virtual user at the end of the second.
    #[serde(default)]
    pub waiting: u64,
}

/// What is new of one stage's arrivals.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ArrivalsOf {
    /// The stage's name.
    pub stage: String,
    /// Arrivals that the schedule wanted.
    pub due: u64,
    /// Those that were sent.
    pub sent: u64,
    /// Those that found no free virtual user.
    pub late: u64,
    /// Those that had one and began late all the same.
    pub behind: u64,
    /// Queries that were sent while the stage lasted.
    pub begun: u64,
}

/// How often one outcome of one query occurred, and how long it took.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The query's name.
    pub query: String,
    /// The stage's name.
    pub stage: String,
    /// `ok` or a class of errors.
    pub outcome: String,
    /// How often.
    pub count: u64,
    /// The longest, in microseconds.
    pub max_micros: u64,
    /// Base64 of a compressed V2 histogram of microseconds.
    pub histogram: String,
    /// How long the system under test took; only in the open model, where the times above begin when the arrival was due.
    #[serde(default)]
    pub service: Option<Service>,
}

/// The service times of a record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// The longest, in microseconds.
    pub max_micros: u64,
    /// Base64 of a compressed V2 histogram of microseconds.
    pub histogram: String,
}

/// What errors of one kind looked like in one second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorSample {
    /// Whole seconds since the agreed instant.
    pub second: u64,
    /// The query's name.
    pub query: String,
    /// The class of the error.
    pub class: String,
    /// The database's own code.
    #[serde(default)]
    pub code: String,
    /// The first message of its kind.
    #[serde(default)]
    pub message: String,
    /// How often.
    pub count: u64,
}

/// The last word of the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    /// How many queries were answered, errors included.
    #[serde(default)]
    pub queries: u64,
    /// How many of them were errors.
    #[serde(default)]
    pub errors: u64,
    /// When the last query was answered; 0 where there was none.
    #[serde(default)]
    pub last_query_unix_nanos: i64,
    /// Whether the load ended before the plan's last stage did.
    #[serde(default)]
    pub interrupted: bool,
    /// Processor time that k6 has spent on collecting garbage since the load began; nothing of an extension that does not tell.
    #[serde(default)]
    pub gc_nanos: Option<u64>,
    /// When the server that answered after the load had been started, counted from the start instant; nothing where that is not known.
    #[serde(default)]
    pub server_started_nanos: Option<i64>,
}

/// What k6 is told. The countdown is worked out when the line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToK6 {
    /// Begin at this instant.
    Start(Instant),
    /// End now.
    Stop,
}

impl ToK6 {
    fn line(self, now: Instant) -> String {
        match self {
            Self::Start(at) => {
                let ahead = i128::try_from(at.saturating_duration_since(now).as_nanos());
                let behind = i128::try_from(now.saturating_duration_since(at).as_nanos());
                let nanos = ahead.unwrap_or(i128::MAX) - behind.unwrap_or(0);
                let wall = clock::unix_nanos_at(at);
                format!("{{\"type\":\"start\",\"inNanos\":{nanos},\"atUnixNanos\":{wall}}}\n")
            }
            Self::Stop => "{\"type\":\"stop\"}\n".to_owned(),
        }
    }
}

/// Binds the socket that k6 connects to.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => UnixListener::bind(path),
    }
}

/// What the supervisor hears of the socket.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// k6 is there.
    Opened,
    /// A line that is not a number for the recorder.
    Said(FromK6),
    /// Nothing follows; the text says why where it was not simply the end.
    Closed(Option<String>),
}

/// Carries the lines of one k6 until it hangs up. Intervals and errors wait for room in `recorder`: a disk that is
/// slow for a moment slows the extension's reports, never its load.
pub async fn carry(listener: UnixListener, orders: mpsc::UnboundedReceiver<ToK6>, recorder: mpsc::Sender<Note>, news: mpsc::Sender<News>) {
    let stream = match listener.accept().await {
        Ok((stream, _)) => stream,
        Err(error) => return tell(&news, News::Closed(Some(format!("failed to accept k6's connection: {error}")))).await,
    };
    drop(listener);
    tell(&news, News::Opened).await;
    let (from, to) = UnixStream::into_split(stream);
    let writer = tokio::spawn(write(to, orders));
    let end = read(from, &recorder, &news).await;
    writer.abort();
    tell(&news, News::Closed(end.err())).await;
}

async fn tell(news: &mpsc::Sender<News>, word: News) {
    // The supervisor is gone only when the process ends.
    let _ = news.send(word).await;
}

async fn write(mut to: OwnedWriteHalf, mut orders: mpsc::UnboundedReceiver<ToK6>) {
    while let Some(order) = orders.recv().await {
        if let Err(error) = to.write_all(order.line(Instant::now()).as_bytes()).await {
            // The reading half sees the same end and reports it.
            tracing::warn!(%error, "failed to tell k6");
            return;
        }
    }
    // Hanging up is an order to stop; only the end of the process hangs up.
    tokio::time::sleep(Duration::MAX).await;
}

async fn read(from: OwnedReadHalf, recorder: &mpsc::Sender<Note>, news: &mpsc::Sender<News>) -> Result<(), String> {
    let mut lines = BufReader::with_capacity(64 << 10, from);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut line).await.map_err(|error| format!("failed to hear k6: {error}"))?;
        if read == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            return Err(if read as u64 == LONGEST_LINE { "k6 sent a line without end".to_owned() } else { "k6 hung up within a line".to_owned() });
        }
        let word: FromK6 = serde_json::from_slice(&line).map_err(|error| format!("failed to understand k6: {error}"))?;
        match word {
            FromK6::Interval(_) | FromK6::Errors { .. } => {
                // A recorder that is gone has already said why.
                let _ = recorder.send(Note::Said(word)).await;
            }
            FromK6::Unknown => tracing::info!("k6 said a word that this worker does not know"),
            FromK6::Preflight(_) | FromK6::Ready {} | FromK6::Started { .. } | FromK6::Stopping { .. } | FromK6::Finished(_) => {
                tell(news, News::Said(word)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_extension_is_understood() {
        let understood = |line: &str| serde_json::from_str::<FromK6>(line).unwrap();
        assert_eq!(understood(r#"{"type":"ready","vus":4}"#), FromK6::Ready {});
        assert_eq!(understood(r#"{"type":"stopping","why":"end"}"#), FromK6::Stopping { why: "end".to_owned() });
        assert_eq!(
            understood(r#"{"type":"started","firstQueryUnixNanos":1700000000000000001,"lateNanos":52000}"#),
            FromK6::Started { first_query_unix_nanos: 1_700_000_000_000_000_001, late_nanos: 52_000 }
        );
        assert_eq!(
            understood(
                r#"{"type":"finished","queries":10,"errors":1,"rows":9,"lastQueryUnixNanos":17,"interrupted":true,"clampedLatencies":0,"gcNanos":5,"serverStartedNanos":-7}"#
            ),
            FromK6::Finished(Finished {
                queries: 10,
                errors: 1,
                last_query_unix_nanos: 17,
                interrupted: true,
                gc_nanos: Some(5),
                server_started_nanos: Some(-7)
            })
        );
        assert_eq!(
            understood(r#"{"type":"interval","second":3,"records":[],"vus":8,"reconnects":5,"rows":0}"#),
            FromK6::Interval(Interval { second: 3, records: vec![], vus: 8, reconnects: 5, ..Interval::default() })
        );
        let open = r#"{"type":"interval","second":3,"records":[{"query":"A","stage":"steady","outcome":"ok","count":1,"maxMicros":7,"histogram":"HIST","service":{"maxMicros":5,"histogram":"TSIH"}}],"vus":8,"reconnects":0,"rows":0,"arrivals":[{"stage":"steady","due":9,"sent":8,"late":3,"behind":1,"begun":7}],"waiting":1}"#;
        let FromK6::Interval(interval) = understood(open) else { panic!("an interval") };
        assert_eq!(interval.records[0].service, Some(Service { max_micros: 5, histogram: "TSIH".to_owned() }));
        assert_eq!(interval.arrivals, [ArrivalsOf { stage: "steady".to_owned(), due: 9, sent: 8, late: 3, behind: 1, begun: 7 }]);
        assert_eq!(interval.waiting, 1);
        assert_eq!(understood(r#"{"type":"weather","sky":"clear"}"#), FromK6::Unknown);
        assert!(matches!(
            understood(r#"{"type":"preflight","ok":true,"serverVersion":"10.11","settings":{"a":"b"}}"#),
            FromK6::Preflight(Preflight { ok: true, .. })
        ));
    }

    #[test]
    fn the_countdown_is_what_is_left_when_the_line_is_written() {
        let now = Instant::now();
        let line = |at: Instant, now| serde_json::from_str::<serde_json::Value>(&ToK6::Start(at).line(now)).unwrap();
        let order = line(now + Duration::from_millis(70), now);
        assert_eq!((&order["type"], &order["inNanos"]), (&"start".into(), &70_000_000.into()));
        assert!((order["atUnixNanos"].as_i64().unwrap() - clock::unix_nanos_at(now + Duration::from_millis(70))).abs() < 5_000_000, "{order}");
        assert_eq!(line(now, now + Duration::from_nanos(5))["inNanos"], -5);
        assert_eq!(ToK6::Stop.line(now), "{\"type\":\"stop\"}\n");
    }
}
