//! Keeps one local port open to a service of the cluster: the hidden command `cluster forward`, started by `Cluster::port_forward` in a
//! session of its own.
//!
//! On the embedded cluster a service's address answers from the machine itself, so that connections are passed on to it: pods may come
//! and go behind it. On kind it does not, and kubectl's own forwarding is started again whenever it ends.

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread::{scope, sleep, spawn};
use std::time::Duration;

use anyhow::{Context, Result};

use super::record::Engine;
use super::{Cluster, Target};
use crate::program;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(300);

/// Serves until it is killed.
pub fn serve(cluster: &Cluster, target: &Target) -> Result<()> {
    match cluster.engine() {
        Engine::Embedded => serve_by_address(cluster, target),
        Engine::Kind => serve_by_kubectl(cluster, target),
    }
}

fn serve_by_kubectl(cluster: &Cluster, target: &Target) -> Result<()> {
    let service = format!("service/{}", target.service);
    let ports = format!("{}:{}", target.local_port, target.remote_port);
    loop {
        let mut kubectl = cluster.kubectl_command()?;
        program::succeeds(kubectl.args(["--namespace", &target.namespace, "port-forward", "--address=127.0.0.1", &service, &ports]));
        sleep(PAUSE);
    }
}

fn serve_by_address(cluster: &Cluster, target: &Target) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", target.local_port));
    let listener = listener.with_context(|| format!("failed to listen on 127.0.0.1:{}", target.local_port))?;
    let known = Mutex::new(None);
    scope(|threads| {
        for client in listener.incoming().flatten() {
            let known = &known;
            threads.spawn(move || {
                if let Err(error) = connect(cluster, target, known).and_then(|server| pass_on(&client, &server)) {
                    eprintln!("{error:#}");
                }
            });
        }
    });
    Ok(())
}

/// The service is looked up again where its last known address does not answer: it may have been made anew.
fn connect(cluster: &Cluster, target: &Target, known: &Mutex<Option<SocketAddr>>) -> Result<TcpStream> {
    let last = known.lock().ok().and_then(|address| *address);
    if let Some(server) = last.and_then(|address| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).ok()) {
        return Ok(server);
    }
    let arguments = ["--namespace", &target.namespace, "get", "service", &target.service, "--output=jsonpath={.spec.clusterIP}"];
    let address = SocketAddr::new(cluster.kubectl(&arguments)?.trim().parse().context("the service has no address")?, target.remote_port);
    let server = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT);
    let server = server.with_context(|| format!("no pod of service {}/{} answers", target.namespace, target.service))?;
    if let Ok(mut known) = known.lock() {
        *known = Some(address);
    }
    Ok(server)
}

fn pass_on(client: &TcpStream, server: &TcpStream) -> Result<()> {
    // Small answers must not wait for more bytes.
    for stream in [client, server] {
        stream.set_nodelay(true).context("failed to set up a connection")?;
    }
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let upload = spawn(move || {
        let _ = copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let _ = copy(&mut from_server, &mut to_client);
    let _ = to_client.shutdown(Shutdown::Write);
    let _ = upload.join();
    Ok(())
}
