//! What the mirror remembers of each run: what the ledger was told, what it is still to be told, and how the object stands.
//!
//! Only the newest status of a run waits to be told, however many there were: transitions only grow, so it holds them all.
//! Losing the book costs a resync, never correctness.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet, VecDeque},
};

use crucible_lifecycle::mirror::{MirroredRun, Outline, Standing};
use crucible_store::ledger::{RecordOutcome, Recorded};
use jiff::Timestamp;

/// How many of the last rows are asked for to find out whether the ledger still has what it was told.
const CANARIES: usize = 8;

/// What the mirror remembers of all runs.
#[derive(Default)]
pub struct Book {
    runs: HashMap<String, Entry>,
    /// Runs with news that nobody is telling just now.
    waiting: HashSet<String>,
    canaries: VecDeque<String>,
}

/// What the mirror remembers of one run.
struct Entry {
    outline: Outline,
    news: Option<News>,
    /// What the ledger was last told, while that can still change.
    told: Option<Box<MirroredRun>>,
    /// The ledger holds the run's last status.
    settled: bool,
    /// Why the ledger did not take what it was last told.
    refused: Option<String>,
    /// The object does not exist any more.
    gone: bool,
    /// The object was in the list that is being read.
    listed: bool,
}

/// A status that the ledger is to be told.
#[derive(Clone, Debug)]
pub struct News {
    /// The resource version that it was read at.
    pub version: u64,
    /// The status.
    pub run: Box<MirroredRun>,
    /// Whether no other one will follow.
    last: bool,
    /// Since when the ledger is behind.
    since: Timestamp,
}

impl Book {
    /// Writes down how a run is. What is older than what is known is left out.
    pub fn see(&mut self, outline: Outline, run: Option<MirroredRun>, now: Timestamp) {
        let uid = outline.uid.clone();
        let fresh = || Entry { outline: outline.clone(), news: None, told: None, settled: false, refused: None, gone: false, listed: true };
        let entry = self.runs.entry(uid.clone()).or_insert_with(fresh);
        entry.listed = true;
        if entry.gone || entry.outline.version > outline.version {
            return;
        }
        entry.outline = outline;
        let Some(run) = run.filter(|_| !entry.settled) else { return };
        if entry.news.is_none() && entry.told.as_deref() == Some(&run) {
            return;
        }
        let since = entry.news.as_ref().map_or(now, |news| news.since);
        entry.news = Some(News { version: entry.outline.version, run: Box::new(run), last: entry.outline.is_last(), since });
        self.waiting.insert(uid);
    }

    /// Writes down that a run is gone, and how it was at the end.
    pub fn bury(&mut self, outline: Outline, run: Option<MirroredRun>, now: Timestamp) {
        let uid = outline.uid.clone();
        self.see(outline, run, now);
        if let Some(entry) = self.runs.get_mut(&uid) {
            entry.gone = true;
        }
        self.clear(&uid);
    }

    /// A list of all runs begins.
    pub fn begin_list(&mut self) {
        self.runs.values_mut().for_each(|entry| entry.listed = false);
    }

    /// The list is complete: runs that were not in it are gone, without a word on how they ended.
    pub fn end_list(&mut self) {
        let missing: Vec<String> = self.runs.iter().filter(|(_, entry)| !entry.listed).map(|(uid, _)| uid.clone()).collect();
        for uid in missing {
            if let Some(entry) = self.runs.get_mut(&uid) {
                entry.gone = true;
            }
            self.clear(&uid);
        }
    }

    /// The ledger may have lost what it was told: everything is told anew as soon as it is seen again.
    pub fn forget_told(&mut self) {
        for entry in self.runs.values_mut() {
            entry.told = None;
            entry.settled = false;
            entry.refused = None;
        }
        self.canaries.clear();
    }

    /// Whether anything waits to be told.
    pub fn has_news(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes out what is to be told next, the newest first, at most `most` of it.
    pub fn take(&mut self, most: usize) -> Vec<News> {
        let mut batch: Vec<News> = self.waiting.iter().filter_map(|uid| self.runs.get(uid)?.news.clone()).collect();
        batch.sort_by_key(|news| Reverse(news.version));
        batch.truncate(most);
        for news in &batch {
            self.waiting.remove(&news.run.uid);
        }
        batch
    }

    /// What was taken out could not be told: it waits again.
    pub fn put_back(&mut self, batch: &[News]) {
        for news in batch {
            if self.runs.get(&news.run.uid).is_some_and(|entry| entry.news.is_some()) {
                self.waiting.insert(news.run.uid.clone());
            }
        }
    }

    /// What was taken out was told; this is what became of it. Returns the runs that it was about.
    pub fn told(&mut self, batch: Vec<News>, outcomes: &[Recorded]) -> Vec<String> {
        let mut about = Vec::new();
        for (news, recorded) in batch.into_iter().zip(outcomes) {
            let uid = news.run.uid.clone();
            match recorded.outcome {
                RecordOutcome::Written | RecordOutcome::Superseded => {
                    self.answer(news, None);
                    self.canaries.push_back(uid.clone());
                    self.canaries.drain(..self.canaries.len().saturating_sub(CANARIES));
                }
                RecordOutcome::Taken => {
                    let why = format!("The ledger has a row of another run with the id {}", news.run.run_id);
                    self.answer(news, Some(why));
                }
            }
            about.push(uid);
        }
        about
    }

    /// The ledger refuses one status.
    pub fn refuse(&mut self, news: News, why: String) {
        self.answer(news, Some(why));
    }

    fn answer(&mut self, news: News, refused: Option<String>) {
        let uid = news.run.uid.clone();
        let Some(entry) = self.runs.get_mut(&uid) else { return };
        if entry.news.as_ref().is_some_and(|newest| newest.version > news.version) {
            return;
        }
        entry.news = None;
        entry.settled = news.last && refused.is_none();
        entry.told = (!entry.settled).then_some(news.run);
        entry.refused = refused;
        self.waiting.remove(&uid);
        self.clear(&uid);
    }

    /// Forgets a run that is gone and of which nothing is left to be told.
    fn clear(&mut self, uid: &str) {
        if self.runs.get(uid).is_some_and(|entry| entry.gone && entry.news.is_none()) {
            self.runs.remove(uid);
        }
    }

    /// The outline of a run that exists, and how it stands with the ledger.
    pub fn standing(&self, uid: &str, now: Timestamp) -> Option<(&Outline, Standing)> {
        let entry = self.runs.get(uid).filter(|entry| !entry.gone)?;
        let standing = match (&entry.refused, &entry.news) {
            (_, Some(news)) => Standing::Behind { since: news.since },
            (Some(why), None) => Standing::Refused(why.clone()),
            (None, None) if entry.settled || entry.told.is_some() => Standing::Held,
            // Not looked at since the ledger came back.
            (None, None) => Standing::Behind { since: now },
        };
        Some((&entry.outline, standing))
    }

    /// Whether a run is known to exist.
    pub fn knows(&self, uid: &str) -> bool {
        self.runs.get(uid).is_some_and(|entry| !entry.gone)
    }

    /// Since when the ledger has been behind.
    pub fn behind_since(&self) -> Option<Timestamp> {
        self.runs.values().filter_map(|entry| entry.news.as_ref()).map(|news| news.since).min()
    }

    /// The uids of runs that exist.
    pub fn existing(&self) -> HashSet<String> {
        self.runs.iter().filter(|(_, entry)| !entry.gone).map(|(uid, _)| uid.clone()).collect()
    }

    /// The runs whose rows were written last: where one of them is missing, more are.
    pub fn canaries(&self) -> Vec<String> {
        self.canaries.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
