//! Logs. They go to standard error in both transports: over stdio, standard output belongs to the protocol.

/// Begins to log: one JSON object per line on standard error.
pub fn init(filter: &str) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)?;
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).with_env_filter(filter).try_init().map_err(anyhow::Error::from_boxed)
}
