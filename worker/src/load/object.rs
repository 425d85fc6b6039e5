//! Files of the bucket, read by ranges through signed addresses. What was listed is what is read: a file that has changed since
//! is refused, not mixed.

use std::{
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

use bytes::{Buf, Bytes};
use crucible_crds::Reason;
use crucible_lifecycle::contract::StoredFile;
use tokio::{runtime::Handle, task::JoinHandle};

use super::{link::Link, trouble::Trouble};
use crate::http::{Http, HttpError};

/// How long one range may take.
const ONE_TRY: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often a fresh address may be refused before that is believed.
const REFUSALS: u32 = 3;
/// How much of a file is read at once from its beginning to its end.
const PIECE: u64 = 4 << 20;

/// The bucket, as a loader reaches it. Its blocking calls are for threads that may wait.
#[derive(Clone)]
pub struct Bucket {
    http: Http,
    link: Arc<Link>,
    runtime: Handle,
}

impl Bucket {
    /// The bucket behind a link. Called within a runtime.
    pub fn new(link: Arc<Link>) -> Self {
        Self { http: Http::default(), link, runtime: Handle::current() }
    }

    /// Reads a range, waiting for it.
    pub fn read(&self, file: &StoredFile, start: u64, length: usize) -> Result<Bytes, Trouble> {
        self.runtime.block_on(self.fetch(file, start, length))
    }

    /// A file from its first byte on, read ahead.
    pub fn open(&self, file: &StoredFile, table: Option<usize>) -> Stream {
        Stream { bucket: self.clone(), file: file.clone(), asked: 0, here: Bytes::new(), ahead: None, table }
    }

    async fn fetch(&self, file: &StoredFile, start: u64, length: usize) -> Result<Bytes, Trouble> {
        let mut pause = FIRST_PAUSE;
        let mut refusals = 0;
        loop {
            let url = self.link.address(&file.key).await?;
            let why = match self.http.read_range(&url, start, length, ONE_TRY).await {
                Ok((tag, bytes)) if tag.is_empty() || file.tag.is_empty() || tag == file.tag => return Ok(bytes),
                Ok(_) => return Err(changed(file, "it has another content than when the run began")),
                Err(HttpError::Refused { status, code }) if matches!(status.as_u16(), 404 | 416) => {
                    return Err(changed(file, &format!("the bucket answers {status} {code}")));
                }
                Err(HttpError::Refused { status, code }) if matches!(status.as_u16(), 401 | 403) => {
                    // An address may have run out on its way here.
                    self.link.distrust(&file.key);
                    refusals += 1;
                    if refusals >= REFUSALS {
                        let message = format!("File {} cannot be read: the bucket answers {status} {code}", file.key);
                        return Err(Trouble::refused(Reason::FixtureUnreadable, message));
                    }
                    format!("the bucket answers {status}")
                }
                Err(error @ HttpError::Address) => {
                    return Err(Trouble::refused(Reason::FixtureUnreadable, format!("File {} cannot be read: its address is {error}", file.key)));
                }
                Err(error) => error.to_string(),
            };
            tracing::warn!(file = file.key, start, why, "failed to read a range, trying again");
            self.link.pause(pause).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn changed(file: &StoredFile, how: &str) -> Trouble {
    Trouble::refused(Reason::FixtureChanged, format!("File {} changed while it was being loaded: {how}", file.key))
}

/// A file from its first byte on. The next piece is on its way while one is read.
pub struct Stream {
    bucket: Bucket,
    file: StoredFile,
    asked: u64,
    here: Bytes,
    ahead: Option<JoinHandle<Result<Bytes, Trouble>>>,
    /// The table whose progress this reading is, where it is one's.
    table: Option<usize>,
}

impl Stream {
    fn ask(&mut self) {
        let left = self.file.bytes.saturating_sub(self.asked).min(PIECE);
        if left == 0 || self.ahead.is_some() {
            return;
        }
        let (bucket, file, start) = (self.bucket.clone(), self.file.clone(), self.asked);
        let length = usize::try_from(left).unwrap_or(usize::MAX);
        self.asked += left;
        self.ahead = Some(self.bucket.runtime.spawn(async move { bucket.fetch(&file, start, length).await }));
    }
}

impl Read for Stream {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.here.is_empty() {
            self.ask();
            let Some(ahead) = self.ahead.take() else { return Ok(0) };
            if self.bucket.link.is_stopped() {
                return Err(Trouble::Stopped.into());
            }
            self.here = self.bucket.runtime.block_on(ahead).map_err(io::Error::other)??;
            if let Some(table) = self.table {
                let read = self.here.len() as u64;
                self.bucket.link.tell(table, |report| report.bytes += read);
            }
            self.ask();
        }
        let length = to.len().min(self.here.len());
        self.here.copy_to_slice(to.get_mut(..length).unwrap_or_default());
        Ok(length)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.abort();
        }
    }
}
