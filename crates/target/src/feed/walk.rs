//! A walk through what has changed, from page to page to the end.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher as _},
};

use super::{
    Change, Feed, Page, Place, RecordId, WalkError,
    paging::{Ask, Paging},
    read::Reply,
};
use crate::definition::Order;

/// Where a walk stands. It lives as long as its pages come; after an error it is begun again.
#[derive(Debug)]
pub struct Walk {
    /// The moment at which it began to ask.
    pub(crate) since_us: i64,
    /// What is asked for next; none at the end.
    ask: Option<Ask>,
    /// The page before, by its number, where it is looked at once more.
    before: Option<Ask>,
    pages: u32,
    /// Links, tokens and pages that there were.
    seen: HashSet<u64>,
    /// The last record of the pages until now.
    last: Option<Place>,
    /// The last record of the page before.
    seam: Option<RecordId>,
    newest: Option<Place>,
    /// The system's own time when it was asked first.
    began_us: Option<i64>,
}

impl Walk {
    pub(super) fn new(feed: &Feed, since_us: i64) -> Self {
        Self {
            since_us,
            ask: Some(feed.paging.first()),
            before: None,
            pages: 0,
            seen: HashSet::new(),
            last: None,
            seam: None,
            newest: None,
            began_us: None,
        }
    }

    pub(crate) fn ask(&self) -> Option<&Ask> {
        self.ask.as_ref()
    }

    /// The page that is to be asked for once more after the next one.
    pub(crate) fn again(&self) -> Option<&Ask> {
        self.before.as_ref()
    }

    /// Whether the page before is still what it was: it ends with the same record.
    pub(crate) fn compare(&self, again: &Reply) -> Result<(), WalkError> {
        self.is_last(again.changes.last(), "a page that was asked for again")
    }

    fn is_last(&self, found: Option<&Change>, what: &str) -> Result<(), WalkError> {
        let (found, last) = (found.map(|change| &change.place.id), self.seam.as_ref());
        if found == last {
            return Ok(());
        }
        let id = |id: Option<&RecordId>| id.map_or_else(|| "none".to_owned(), ToString::to_string);
        Err(WalkError::Moved(format!("{what} has record {} in the place of {}", id(found), id(last))))
    }

    /// Takes the next page, and goes on.
    pub(crate) fn take(&mut self, feed: &Feed, mut reply: Reply) -> Result<Page, WalkError> {
        let asked = self.ask.take().unwrap_or(Ask::First);
        self.pages += 1;
        if self.pages > feed.max_pages {
            return Err(WalkError::Endless(format!("there were {} already", feed.max_pages)));
        }
        self.begin(feed, &reply)?;
        if matches!(asked, Ask::Offset(from) if from > 0) {
            self.is_last(reply.changes.first(), "a page that begins where the one before ended")?;
            reply.changes.drain(..1.min(reply.changes.len()));
        }
        let next = feed.paging.next(&asked, &reply)?;
        self.check_progress(feed, &reply.changes, next.as_ref())?;
        self.check_order(feed, &reply.changes)?;
        let Reply { mut changes, date_us, .. } = reply;
        let newest = changes.iter().map(|change| &change.place).max();
        self.newest = self.newest.take().max(newest.cloned());
        let last = changes.last().map(|change| change.place.clone());
        self.seam = last.as_ref().map(|last| last.id.clone());
        self.last = last.or_else(|| self.last.take());
        self.before = next.as_ref().and(matches!(asked, Ask::Number(_)).then_some(asked));
        self.ask = next;
        let read_to = self.read_to(feed, &changes, date_us);
        if !matches!(feed.paging, Paging::Keyset) {
            changes.retain(|change| change.place.modified_us >= self.since_us);
        }
        if self.ask.as_ref().is_some_and(|ask| feed.paging.is_beyond(ask, feed.page)) {
            self.ask = Some(self.anew(feed)?);
        }
        Ok(Page { changes, read_to })
    }

    /// The beginning of a new list at the last record's moment, where the system lists no more of this one.
    fn anew(&mut self, feed: &Feed) -> Result<Ask, WalkError> {
        let last = self.last.as_ref().map(|last| last.modified_us).filter(|last| *last > self.since_us);
        self.since_us = last
            .ok_or_else(|| WalkError::Endless("more records bear one moment than the system lists".into()))?;
        // Pages of the list before may come in this one; it ends, because each begins later than the one before.
        self.seen.clear();
        self.seam = None;
        Ok(feed.paging.first())
    }

    /// What is changed while records are walked in any order bears a later moment than the walk's beginning, by the system's clock.
    fn begin(&mut self, feed: &Feed, reply: &Reply) -> Result<(), WalkError> {
        if self.pages == 1 {
            self.began_us = reply.date_us;
            if feed.order() == Some(Order::Any) && self.began_us.is_none() {
                return Err(WalkError::unreadable("the answer has no `Date`, which `order: any` needs"));
            }
        }
        Ok(())
    }

    fn check_order(&self, feed: &Feed, changes: &[Change]) -> Result<(), WalkError> {
        let behind = |before: &Place, after: &Place| match feed.order() {
            Some(Order::Any) => true,
            Some(Order::Modified) => before.modified_us <= after.modified_us,
            // In which order a system has its texts is its own affair.
            None if feed.has_text_ids() => before.modified_us <= after.modified_us && before.id != after.id,
            None => before < after,
        };
        let places = self.last.iter().chain(changes.iter().map(|change| &change.place));
        let pairs = places.clone().zip(places.skip(1));
        match pairs.into_iter().find(|(before, after)| !behind(before, after)) {
            Some((before, after)) => Err(WalkError::unreadable(&format!(
                "record {} stands before {}, which is not the order of `changes`",
                before.id, after.id
            ))),
            None => Ok(()),
        }
    }

    /// A link, a token or a page that comes again would come for ever.
    fn check_progress(
        &mut self,
        feed: &Feed,
        changes: &[Change],
        next: Option<&Ask>,
    ) -> Result<(), WalkError> {
        let again = |what: &str| Err(WalkError::Endless(what.to_owned()));
        match next {
            Some(Ask::Link(uri)) if !self.seen.insert(print(&("link", uri.to_string()))) => {
                return again("the link to the next page was followed already");
            }
            Some(Ask::Token(token)) if !self.seen.insert(print(&("token", token.to_string()))) => {
                return again("the token for the next page was sent already");
            }
            _ => {}
        }
        if matches!(feed.paging, Paging::Keyset) && !feed.has_text_ids() || changes.is_empty() {
            return Ok(());
        }
        let places: Vec<&Place> = changes.iter().map(|change| &change.place).collect();
        match self.seen.insert(print(&("page", places))) {
            true => Ok(()),
            false => {
                again(&format!("the page that begins with record {} has come again", changes[0].place.id))
            }
        }
    }

    /// How far the system was read once the page is told. Never beyond the system's own time: what is changed later bears an earlier
    /// moment than a record of the future.
    fn read_to(&self, feed: &Feed, changes: &[Change], date_us: Option<i64>) -> Option<Place> {
        let (place, now_us) = match feed.order() {
            Some(Order::Any) if self.ask.is_some() => return None,
            Some(Order::Any) => (self.newest.clone()?, self.began_us),
            _ => (changes.last()?.place.clone(), date_us),
        };
        match now_us {
            Some(now_us) if place.modified_us > now_us => Some(Place::before(now_us)),
            _ => Some(place),
        }
    }
}

fn print(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
