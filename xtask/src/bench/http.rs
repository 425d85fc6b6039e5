//! HTTP by hand, as much as the benches need: a client that keeps its connection, as the operator does, and, for workers, a server
//! that notes check-ins and takes whatever is stored.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

const PATIENCE: Duration = Duration::from_secs(5);

/// The client of one server.
pub struct Client {
    address: String,
    token: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// For a server at `address` that wants `token`.
    pub fn new(address: &str, token: &str) -> Self {
        Self { address: address.into(), token: token.into(), connection: None }
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
            None => BufReader::new(connect(&self.address)?),
        };
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\n", self.address, self.token);
        connection.get_mut().write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
        let first = line(&mut connection)?;
        let status = first.split_ascii_whitespace().nth(1).and_then(|status| status.parse().ok()).with_context(|| format!("{first:?} is no answer"))?;
        let body = match length(&mut connection)? {
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
        let listener = TcpListener::bind("127.0.0.1:0").context("failed to listen on loopback")?;
        let address = listener.local_addr().context("failed to read the port that was given")?;
        let (heard, check_ins) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = heard.clone();
                // A client that breaks off is its own affair: it says so, and the bench hears it from there.
                thread::spawn(move || serve(stream, &heard));
            }
        });
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

fn serve(stream: TcpStream, check_ins: &Sender<String>) -> Result<()> {
    let mut connection = BufReader::new(stream);
    loop {
        let first = line(&mut connection)?;
        if first.is_empty() {
            return Ok(());
        }
        let Length::Known(length) = length(&mut connection)? else { bail!("a worker sent its body in chunks") };
        if first.starts_with("POST ") {
            let mut body = vec![0; length];
            connection.read_exact(&mut body)?;
            check_ins.send(String::from_utf8_lossy(&body).into_owned())?;
        } else {
            io::copy(&mut (&mut connection).take(length as u64), &mut io::sink())?;
        }
        connection.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")?;
    }
}

fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
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

/// Reads the headers to their end.
fn length(connection: &mut BufReader<TcpStream>) -> Result<Length> {
    let mut length = Length::Known(0);
    loop {
        let header = line(connection)?;
        let Some((name, value)) = header.split_once(':') else { return Ok(length) };
        if name.eq_ignore_ascii_case("content-length") {
            length = Length::Known(value.trim().parse().with_context(|| format!("{header:?} has no number"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = Length::Chunked;
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
