//! Rows from files to a table: a few readers that decode and encode, a few sessions that send, and few chunks in between. The first
//! that cannot go on ends all the others, and says why.

use std::{
    collections::VecDeque,
    io::Read,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crucible_crds::fixture::FixtureFormat;
use crucible_lifecycle::contract::{StoredFile, TableRecipe};
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc},
    task::JoinSet,
};

use super::{
    cassandra,
    csv::{Csv, CsvError, Row},
    doris,
    encode::{Chunk, Encoder, Layout},
    link::Link,
    object::Bucket,
    parquet::{self, Sink},
    session::{Endpoint, Session},
    tally::Tally,
    trouble::Trouble,
    value::{Column, Kind, Value},
};

/// How many files, or row groups, are read at a time.
const READERS: usize = 2;
/// How many sessions send rows at a time.
const SESSIONS: usize = 4;
/// How many chunks wait to be sent.
const WAITING: usize = 2;

/// What the files of a table hold.
#[derive(Debug)]
pub struct Contents {
    pub columns: Vec<Column>,
    /// For each file, where each of the columns stands in it, and the rows of its row groups (none: it is read from its beginning).
    pub files: Vec<FileContents>,
}

/// What one file holds.
#[derive(Debug)]
pub struct FileContents {
    pub order: Vec<usize>,
    pub groups: Vec<u64>,
}

/// Everything that rows need on their way.
pub struct Flow {
    pub link: Arc<Link>,
    pub bucket: Bucket,
    pub taker: Taker,
    /// Which table this is, for what is told of it.
    pub number: usize,
    pub recipe: Arc<TableRecipe>,
    pub contents: Arc<Contents>,
    pub layout: Arc<Layout>,
}

/// Who takes the rows.
pub enum Taker {
    /// Sessions of their own, with the statement that takes rows.
    Sessions(Endpoint, String),
    /// The one session that all of them share.
    Cassandra(Box<cassandra::Writer>),
    /// Requests over HTTP.
    Doris(Box<doris::Writer>),
}

/// A part of the files that one reader reads.
struct Part {
    file: usize,
    group: Option<usize>,
}

/// What the readers share.
struct Work {
    parts: Mutex<VecDeque<Part>>,
    /// How many parts of each file are left.
    left: Vec<AtomicUsize>,
    over: AtomicBool,
}

impl Flow {
    /// Sends every row; returns what the table has to come to.
    pub async fn run(self) -> Result<Tally, Trouble> {
        let this = Arc::new(self);
        let work = Arc::new(this.parts());
        let (out, chunks) = mpsc::channel::<Chunk>(WAITING);
        let chunks = Arc::new(AsyncMutex::new(chunks));
        let mut tasks: JoinSet<Result<Option<Tally>, Trouble>> = JoinSet::new();
        for _ in 0..READERS {
            let (this, work, out) = (Arc::clone(&this), Arc::clone(&work), out.clone());
            tasks.spawn_blocking(move || this.read(&work, out).map(Some));
        }
        drop(out);
        for _ in 0..SESSIONS {
            tasks.spawn(Arc::clone(&this).send(Arc::clone(&work), Arc::clone(&chunks)));
        }
        // Only the sessions hold it: when the last has gone, the readers hear of it.
        drop(chunks);
        let mut tally = Tally::new(&this.layout.slots);
        let mut trouble: Option<Trouble> = None;
        while let Some(ended) = tasks.join_next().await {
            let found = match ended {
                Ok(Ok(part)) => {
                    if let Some(part) = part {
                        tally.add(&part);
                    }
                    continue;
                }
                Ok(Err(found)) => found,
                Err(error) => {
                    let fixture = &this.recipe.fixture;
                    Trouble::invalid(format!("A file of fixture {fixture} cannot be read: its reader broke off ({error})"))
                }
            };
            work.over.store(true, Ordering::Relaxed);
            // A reader that nobody listens to only says so; whoever stopped listening says why.
            if trouble.as_ref().is_none_or(|known| *known == Trouble::Stopped) {
                trouble = Some(found);
            }
        }
        trouble.map_or(Ok(tally), Err)
    }

    fn parts(&self) -> Work {
        let mut parts = VecDeque::new();
        let mut left = Vec::with_capacity(self.contents.files.len());
        for (file, contents) in self.contents.files.iter().enumerate() {
            if self.recipe.format == FixtureFormat::Parquet {
                parts.extend((0..contents.groups.len()).map(|group| Part { file, group: Some(group) }));
                left.push(AtomicUsize::new(contents.groups.len()));
                if contents.groups.is_empty() {
                    self.file_is_read();
                }
            } else {
                parts.push_back(Part { file, group: None });
                left.push(AtomicUsize::new(1));
            }
        }
        Work { parts: Mutex::new(parts), left, over: AtomicBool::new(false) }
    }

    fn file_is_read(&self) {
        self.link.tell(self.number, |report| report.files += 1);
    }

    /// Reads parts until there are no more.
    fn read(&self, work: &Work, out: mpsc::Sender<Chunk>) -> Result<Tally, Trouble> {
        let mut encoder = Encoder::new(&self.layout, out);
        let mut open = None;
        loop {
            let part = work.parts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(Part { file, group }) = part else { break };
            if work.over.load(Ordering::Relaxed) || self.link.is_stopped() {
                return Err(Trouble::Stopped);
            }
            let (Some(stored), Some(contents)) = (self.recipe.files.get(file), self.contents.files.get(file)) else { continue };
            match group {
                Some(group) => self.read_group(&mut open, file, group, contents, &mut encoder)?,
                None => self.read_csv(stored, contents, &mut encoder)?,
            }
            if work.left.get(file).is_some_and(|left| left.fetch_sub(1, Ordering::Relaxed) == 1) {
                self.file_is_read();
            }
        }
        encoder.flush()?;
        Ok(encoder.tally)
    }

    fn read_group(
        &self,
        open: &mut Option<(usize, ::parquet::file::reader::SerializedFileReader<parquet::Chunks>)>,
        file: usize,
        group: usize,
        contents: &FileContents,
        encoder: &mut Encoder,
    ) -> Result<(), Trouble> {
        let Some(stored) = self.recipe.files.get(file) else { return Ok(()) };
        let fixture = &self.recipe.fixture;
        if open.as_ref().is_none_or(|(known, _)| *known != file) {
            *open = Some((file, parquet::open(&self.bucket, fixture, stored, contents.order.len())?));
        }
        let Some((_, reader)) = open else { return Ok(()) };
        let before: u64 = contents.groups.iter().take(group).sum();
        encoder.turn_to(&stored.key, before + 1)?;
        parquet::read_group(reader, fixture, stored, group, &contents.order, encoder)?;
        let (rows, all) = (contents.groups.get(group).copied().unwrap_or_default(), contents.groups.iter().sum::<u64>().max(1));
        let share = u128::from(stored.bytes) * u128::from(rows) / u128::from(all);
        self.link.tell(self.number, |report| report.bytes += u64::try_from(share).unwrap_or_default());
        Ok(())
    }

    fn read_csv(&self, stored: &StoredFile, contents: &FileContents, encoder: &mut Encoder) -> Result<(), Trouble> {
        let fixture = &self.recipe.fixture;
        let failed = |error: CsvError| of_csv(fixture, stored, error);
        let mut csv =
            Csv::new(decompressed(&stored.key, self.bucket.open(stored, Some(self.number))).map_err(|error| of_csv(fixture, stored, CsvError::Read(error)))?);
        let mut row = Row::default();
        if !csv.next(&mut row).map_err(failed)? {
            return Ok(());
        }
        let fields = row.len();
        encoder.turn_to(&stored.key, 1)?;
        while csv.next(&mut row).map_err(failed)? {
            if row.len() != fields {
                return Err(wrong(fixture, stored, &format!("row {} has {} fields, and the header has {fields}", csv.row(), row.len())));
            }
            for (slot, at) in contents.order.iter().enumerate() {
                match row.field(*at).map(std::str::from_utf8) {
                    None => encoder.put(slot, &Value::Null)?,
                    Some(Ok(text)) => encoder.put(slot, &Value::Text(text))?,
                    Some(Err(_)) => return Err(encoder.refuse(slot, "the text is not UTF-8")),
                }
            }
            encoder.end_row()?;
        }
        Ok(())
    }

    /// Sends chunks until there are no more.
    async fn send(self: Arc<Self>, work: Arc<Work>, chunks: Arc<AsyncMutex<mpsc::Receiver<Chunk>>>) -> Result<Option<Tally>, Trouble> {
        let mut session: Option<Session> = None;
        loop {
            let next = chunks.lock().await.recv().await;
            let Some(chunk) = next else { return Ok(None) };
            if work.over.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if self.link.is_stopped() {
                return Err(Trouble::Stopped);
            }
            let rows = match &self.taker {
                Taker::Cassandra(writer) => writer.load(&self.layout, chunk).await?,
                Taker::Doris(writer) => writer.load(&self.layout, chunk).await?,
                Taker::Sessions(endpoint, statement) => {
                    // Small datasets need one session, not four.
                    let session = match &mut session {
                        Some(session) => session,
                        none => {
                            let mut made = Session::connect(endpoint).await?;
                            made.relax().await.map_err(|error| error.trouble("A session for rows cannot be set up"))?;
                            none.insert(made)
                        }
                    };
                    session.load(statement, &self.layout, chunk).await?
                }
            };
            self.link.tell(self.number, |report| report.rows += rows);
        }
    }
}

/// The columns of a CSV file: its header.
pub fn look_at_csv(bucket: &Bucket, fixture: &str, file: &StoredFile) -> Result<Vec<Column>, Trouble> {
    let failed = |error: CsvError| of_csv(fixture, file, error);
    let mut csv = Csv::new(decompressed(&file.key, bucket.open(file, None)).map_err(|error| of_csv(fixture, file, CsvError::Read(error)))?);
    let mut row = Row::default();
    if !csv.next(&mut row).map_err(failed)? {
        return Err(wrong(fixture, file, "it has no header"));
    }
    let mut columns: Vec<Column> = Vec::with_capacity(row.len());
    for at in 0..row.len() {
        let name = row.field(at).and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty() && !name.contains('\0'));
        let Some(name) = name else { return Err(wrong(fixture, file, &format!("field {} of its header is no name", at + 1))) };
        if columns.iter().any(|column| column.name == name) {
            return Err(wrong(fixture, file, &format!("its header has the column {name} twice")));
        }
        columns.push(Column { name: name.to_owned(), kind: Kind::Text });
    }
    Ok(columns)
}

/// A file's bytes without what its ending says they are packed with.
pub fn decompressed(key: &str, from: impl Read + Send + 'static) -> std::io::Result<Box<dyn Read + Send>> {
    let ending = key.rsplit('.').next().unwrap_or_default();
    Ok(if ending.eq_ignore_ascii_case("gz") {
        Box::new(flate2::read::MultiGzDecoder::new(std::io::BufReader::with_capacity(64 << 10, from)))
    } else if ending.eq_ignore_ascii_case("zst") {
        Box::new(zstd::stream::read::Decoder::new(from)?)
    } else {
        Box::new(from)
    })
}

fn of_csv(fixture: &str, file: &StoredFile, error: CsvError) -> Trouble {
    match error {
        CsvError::Row(0, why) => wrong(fixture, file, &format!("header: {why}")),
        CsvError::Row(row, why) => wrong(fixture, file, &format!("row {row}: {why}")),
        CsvError::Read(error) => Trouble::in_error(&error, |why| wrong(fixture, file, &format!("it cannot be unpacked: {why}"))),
    }
}

/// Something that is wrong with a file.
pub fn wrong(fixture: &str, file: &StoredFile, why: &str) -> Trouble {
    Trouble::invalid(format!("File {} of fixture {fixture}: {why}", file.key))
}
