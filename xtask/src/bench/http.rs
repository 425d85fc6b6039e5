//! HTTP by hand, as much as the benches need: a client that keeps its connection, as the operator does, and a server of which each bench
//! says what it answers; for workers one that notes check-ins and takes whatever is stored.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

const PATIENCE: Duration = Duration::from_secs(5);

/// The client of one server.
pub struct Client {
    address: String,
    token: String,
    patience: Duration,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// For a server at `address` that wants `token`.
    pub fn new(address: &str, token: &str) -> Self {
        Self { address: address.into(), token: token.into(), patience: PATIENCE, connection: None }
    }

    /// For a server that may take so long to answer.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The body of a successful answer.
    pub fn call(&mut self, method: &str, path: &str, body: &str) -> Result<Vec<u8>> {
        let answer = self.exchange(method, path, body);
        let (status, body) = answer.with_context(|| format!("failed to call {method} {path} at {}", self.address))?;
        if !(200..300).contains(&status) {
            bail!("{method} {path} at {} was answered with {status}: {}", self.address, String::from_utf8_lossy(&body).trim());
        }
        Ok(body)
    }

    fn exchange(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, Vec<u8>)> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(&self.address, self.patience)?),
        };
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\n", self.address, self.token);
        connection.get_mut().write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
        let first = line(&mut connection)?;
        let status = first.split_ascii_whitespace().nth(1).and_then(|status| status.parse().ok()).with_context(|| format!("{first:?} is no answer"))?;
        let body = match headers(&mut connection)?.length {
            Length::Known(bytes) => exactly(&mut connection, bytes)?,
            Length::Chunked => chunks(&mut connection)?,
        };
        self.connection = Some(connection);
        Ok((status, body))
    }
}

/// The server's side: who checked in, and where to store.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    check_ins: Receiver<String>,
}

impl Server {
    /// Serves until this process ends.
    pub fn start() -> Result<Self> {
        let (heard, check_ins) = mpsc::channel::<String>();
        let address = serve(move |asked| {
            if !asked.body.is_empty() {
                heard.send(String::from_utf8_lossy(&asked.body).into_owned())?;
            }
            Ok(Answer::Json("{}".into()))
        })?;
        Ok(Self { address, check_ins })
    }

    /// The address that the next check-in names, where one comes within `patience`.
    pub fn check_in(&self, patience: Duration) -> Option<String> {
        let body = self.check_ins.recv_timeout(patience).ok()?;
        Some(serde_json::from_str::<serde_json::Value>(&body).ok()?["address"].as_str()?.to_owned())
    }

    /// Forgets check-ins of workers that are gone.
    pub fn forget(&self) {
        while self.check_ins.try_recv().is_ok() {}
    }
}

/// What a server is asked.
pub struct Asked {
    /// The path, with its query
    pub path: String,
    /// The bytes that are wanted, where not all are
    pub range: Option<RangeInclusive<u64>>,
    /// What was posted; what is only to be stored is thrown away
    pub body: Vec<u8>,
}

/// What a server answers.
pub enum Answer {
    /// A document
    Json(String),
    /// A part of a file
    Part {
        /// The file
        file: PathBuf,
        /// What tells its content from any other
        tag: String,
        /// Which bytes
        range: RangeInclusive<u64>,
    },
}

/// Serves on loopback until this process ends.
pub fn serve(answer: impl Fn(Asked) -> Result<Answer> + Clone + Send + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("failed to listen on loopback")?;
    let address = listener.local_addr().context("failed to read the port that was given")?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            // A client that breaks off is its own affair: it says so, and the bench hears it from there.
            thread::spawn(move || converse(stream, answer));
        }
    });
    Ok(address)
}

fn converse(stream: TcpStream, answer: impl Fn(Asked) -> Result<Answer>) -> Result<()> {
    let mut connection = BufReader::new(stream);
    loop {
        let first = line(&mut connection)?;
        let mut words = first.split_ascii_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
        let Headers { length: Length::Known(length), range } = headers(&mut connection)? else { bail!("a client sent its body in chunks") };
        let mut body = Vec::new();
        if method == "POST" {
            body = exactly(&mut connection, length)?;
        } else {
            io::copy(&mut (&mut connection).take(length as u64), &mut io::sink())?;
        }
        match answer(Asked { path: path.into(), range, body })? {
            Answer::Json(text) => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", text.len());
                connection.get_mut().write_all((head + &text).as_bytes())?;
            }
            Answer::Part { file, tag, range } => {
                let mut file = File::open(&file).with_context(|| format!("failed to open {}", file.display()))?;
                file.seek(SeekFrom::Start(*range.start()))?;
                let bytes = range.end() + 1 - range.start();
                let head = format!("HTTP/1.1 206 Partial Content\r\netag: \"{tag}\"\r\ncontent-length: {bytes}\r\n\r\n");
                connection.get_mut().write_all(head.as_bytes())?;
                io::copy(&mut file.take(bytes), connection.get_mut())?;
            }
        }
    }
}

fn connect(address: &str, patience: Duration) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    Ok(stream)
}

fn line(connection: &mut BufReader<TcpStream>) -> Result<String> {
    let mut text = String::new();
    connection.read_line(&mut text)?;
    Ok(text.trim_end().to_owned())
}

/// How long a body is.
enum Length {
    Known(usize),
    Chunked,
}

/// What of the headers says something to us.
struct Headers {
    length: Length,
    range: Option<RangeInclusive<u64>>,
}

/// Reads the headers to their end.
fn headers(connection: &mut BufReader<TcpStream>) -> Result<Headers> {
    let mut headers = Headers { length: Length::Known(0), range: None };
    loop {
        let header = line(connection)?;
        let Some((name, value)) = header.split_once(':') else { return Ok(headers) };
        let wrong = || format!("{header:?} has no number");
        if name.eq_ignore_ascii_case("content-length") {
            headers.length = Length::Known(value.trim().parse().with_context(wrong)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            headers.length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("range") {
            let (first, last) = value.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')).with_context(wrong)?;
            headers.range = Some(first.parse().with_context(wrong)?..=last.parse().with_context(wrong)?);
        }
    }
}

fn exactly(connection: &mut BufReader<TcpStream>, bytes: usize) -> Result<Vec<u8>> {
    let mut body = vec![0; bytes];
    connection.read_exact(&mut body)?;
    Ok(body)
}

/// Reads chunks up to the empty one.
fn chunks(connection: &mut BufReader<TcpStream>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let head = line(connection)?;
        let bytes = usize::from_str_radix(&head, 16).with_context(|| format!("{head:?} is no length of a chunk"))?;
        body.extend(exactly(connection, bytes)?);
        line(connection)?;
        if bytes == 0 {
            return Ok(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_chunks_is_put_together() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n").unwrap();
            // Held until the client has read it.
            let _ = stream.read(&mut [0; 1024]);
            thread::sleep(Duration::from_millis(50));
        });
        assert_eq!(Client::new(&address.to_string(), "t").call("GET", "/", "").unwrap(), b"abc0123456789");
        server.join().unwrap();
    }

    #[test]
    fn a_part_of_a_file_is_what_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.csv");
        std::fs::write(&file, "0123456789").unwrap();
        let address = serve(move |asked| Ok(Answer::Part { file: file.clone(), tag: "t".into(), range: asked.range.context("no range")? })).unwrap();
        let mut connection = BufReader::new(connect(&address.to_string(), PATIENCE).unwrap());
        for (range, part) in [("2-4", "234"), ("9-9", "9")] {
            connection.get_mut().write_all(format!("GET /a HTTP/1.1\r\nRange: bytes={range}\r\n\r\n").as_bytes()).unwrap();
            assert_eq!(line(&mut connection).unwrap(), "HTTP/1.1 206 Partial Content");
            let Length::Known(bytes) = headers(&mut connection).unwrap().length else { panic!("it comes in chunks") };
            assert_eq!(exactly(&mut connection, bytes).unwrap(), part.as_bytes());
        }
    }

    #[test]
    fn a_client_and_the_server_understand_each_other_over_one_connection() {
        let server = Server::start().unwrap();
        let mut client = Client::new(&server.address.to_string(), "t");
        for _ in 0..2 {
            assert_eq!(client.call("PUT", "/results/a", "bytes").unwrap(), b"{}");
            client.call("POST", "/v1/check-in", r#"{"address":"127.0.0.1:1"}"#).unwrap();
            assert_eq!(server.check_in(PATIENCE).as_deref(), Some("127.0.0.1:1"));
        }
    }
}
