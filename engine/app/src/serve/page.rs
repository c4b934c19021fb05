//! Pages of a list: positions in a total order, so that what stood at the first page comes exactly once while things
//! change (<https://google.aip.dev/158>).
use super::errors::{invalid, refused};
use crate::views::ShownAlert;
use prost::Message;
use quell_core::{
    domain::{alert::Alert, incident::Incident},
    output::IncidentUpdate,
};
use quell_proto::v1;
use std::{borrow::Cow, cmp::Ordering, collections::BinaryHeap, sync::Arc};
use tonic::{Code, Status};
use xxhash_rust::xxh3::xxh3_64;

const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1_000;

/// What stands in lists: ordered by [`Listed::order`], then by name. Neither ever changes.
pub trait Listed: Clone {
    /// The collection's name, which a page token is of.
    const COLLECTION: &'static str;
    fn order(&self) -> i64 {
        0
    }
    fn name(&self) -> Cow<'_, str>;
}

impl Listed for Arc<IncidentUpdate> {
    const COLLECTION: &'static str = "incidents";
    /// Newest first.
    fn order(&self) -> i64 {
        -self.incident.opened_at.0
    }
    fn name(&self) -> Cow<'_, str> {
        Incident::name(&self.scope, self.incident.id).into()
    }
}

impl Listed for ShownAlert {
    const COLLECTION: &'static str = "alerts";
    fn name(&self) -> Cow<'_, str> {
        Alert::name(&self.scope, self.alert.id).into()
    }
}

impl Listed for v1::Silence {
    const COLLECTION: &'static str = "silences";
    fn name(&self) -> Cow<'_, str> {
        (&*self.name).into()
    }
}

impl Listed for v1::MaintenanceWindow {
    const COLLECTION: &'static str = "maintenanceWindows";
    fn name(&self) -> Cow<'_, str> {
        (&*self.name).into()
    }
}

impl Listed for v1::Correction {
    const COLLECTION: &'static str = "corrections";
    fn name(&self) -> Cow<'_, str> {
        (&*self.name).into()
    }
}

impl Listed for Arc<v1::Service> {
    const COLLECTION: &'static str = "services";
    fn name(&self) -> Cow<'_, str> {
        (&*self.name).into()
    }
}

impl Listed for Arc<v1::Problem> {
    const COLLECTION: &'static str = "problems";
    fn name(&self) -> Cow<'_, str> {
        (&*self.name).into()
    }
}

/// An item by its place.
#[derive(Debug)]
pub struct Placed<T> {
    place: (i64, String),
    pub item: T,
}

impl<T: Listed> Placed<T> {
    /// An item, to be put in order.
    pub fn of(item: T) -> Self {
        Self { place: (item.order(), item.name().into_owned()), item }
    }
}

impl<T> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<T> Eq for Placed<T> {}

impl<T> PartialOrd for Placed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Placed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub size: i32,
    pub token: &'a str,
    /// What else selects: a token is of one selection.
    pub parent: &'a str,
    pub filter: &'a str,
    /// The journal that the list is of.
    pub journal: [u8; 16],
    pub bytes_max: u64,
}

/// The items of one page, chosen of all that are offered: of any number, only those are held that may be on it.
#[derive(Debug)]
pub struct Page<T: Listed> {
    size: usize,
    bytes_max: u64,
    of: Of,
    after: Option<(i64, String)>,
    /// The best so far, the worst on top: one more than the page takes, which tells whether there is a next.
    best: BinaryHeap<Placed<T>>,
}

impl<T: Listed> Page<T> {
    /// An empty one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a negative size, or a token that is malformed or of another list; `FAILED_PRECONDITION`
    /// for a token of the same list that was taken under another parent or filter.
    pub fn new(request: Request<'_>) -> Result<Self, Status> {
        let size = match usize::try_from(request.size) {
            Ok(0) => PAGE_SIZE,
            Ok(size) => size.min(PAGE_SIZE_MAX),
            Err(_) => return Err(invalid("page_size", "not below 0")),
        };
        let of = Of {
            list: xxh3_64(&[T::COLLECTION.as_bytes(), &request.journal].concat()),
            selection: xxh3_64(format!("{}\n{}", request.parent, request.filter).as_bytes()),
        };
        let after = of.decode(request.token)?;
        Ok(Self { size, bytes_max: request.bytes_max, of, after, best: BinaryHeap::new() })
    }

    /// Takes it if it may be on the page.
    pub fn offer(&mut self, item: &T) {
        let (order, name) = (item.order(), item.name());
        if self.after.as_ref().is_some_and(|after| (order, &*name) <= (after.0, &after.1)) {
            return;
        }
        if self.best.len() > self.size {
            match self.best.peek() {
                Some(Placed { place: worst, .. }) if (order, &*name) < (worst.0, &worst.1) => self.best.pop(),
                _ => return,
            };
        }
        self.best.push(Placed { place: (order, name.into_owned()), item: item.clone() });
    }

    /// The page, as messages, and the token of the next; none after the last.
    pub fn finish<M: Message>(self, message: impl Fn(&T) -> M) -> (Vec<M>, String) {
        let Self { size, bytes_max, of, best, .. } = self;
        let (mut page, mut bytes, mut last) = (Vec::new(), 0, None);
        for Placed { place, item } in best.into_sorted_vec() {
            let message = message(&item);
            bytes += message.encoded_len() as u64;
            // However large the first is, it is on its page.
            if let Some(last) = last.filter(|_| page.len() >= size || bytes > bytes_max) {
                return (page, of.encode(&last));
            }
            page.push(message);
            last = Some(place);
        }
        (page, String::new())
    }
}

/// What a token is of.
#[derive(Clone, Copy, Debug)]
struct Of {
    list: u64,
    selection: u64,
}

impl Of {
    fn encode(self, (order, name): &(i64, String)) -> String {
        format!("{:016x}.{:016x}.{order}.{name}", self.list, self.selection)
    }

    fn decode(self, token: &str) -> Result<Option<(i64, String)>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let malformed = || invalid("page_token", "malformed; use the one that the last page gave, as it is");
        let mut parts = token.splitn(4, '.');
        let mut hash = || parts.next().and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or_else(malformed);
        let (list, selection) = (hash()?, hash()?);
        let order = parts.next().and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        let name = parts.next().ok_or_else(malformed)?.to_owned();
        if list != self.list {
            return Err(invalid("page_token", "it is of another list or another journal"));
        }
        if selection != self.selection {
            return Err(refused(
                Code::FailedPrecondition,
                "PAGE_TOKEN_OF_ANOTHER_FILTER",
                "page_token: it was given under another parent or filter; begin at the first page",
            ));
        }
        Ok(Some((order, name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window by its name, in the order of a time.
    #[derive(Clone, Debug)]
    struct Item(i64, v1::MaintenanceWindow);

    impl Listed for Item {
        const COLLECTION: &'static str = "items";
        fn order(&self) -> i64 {
            self.0
        }
        fn name(&self) -> Cow<'_, str> {
            self.1.name()
        }
    }

    fn item(name: &str, order: i64) -> Item {
        Item(order, v1::MaintenanceWindow { name: name.to_owned(), ..Default::default() })
    }

    fn request<'a>(token: &'a str, filter: &'a str, bytes_max: u64) -> Request<'a> {
        Request { size: 7, token, parent: "", filter, journal: [1; 16], bytes_max }
    }

    fn names(items: &[Item], bytes_max: u64) -> Vec<Vec<String>> {
        let (mut token, mut pages) = (String::new(), Vec::new());
        loop {
            let mut page = Page::new(request(&token, "", bytes_max)).expect("valid");
            items.iter().for_each(|item| page.offer(item));
            let (page, next) = page.finish(|item: &Item| item.1.clone());
            pages.push(page.into_iter().map(|window| window.name).collect());
            if next.is_empty() {
                return pages;
            }
            token = next;
        }
    }

    #[test]
    fn pages_are_the_sorted_list_cut() {
        // A walk through all residues: no two alike in sequence, ties among the times.
        let items: Vec<_> = (0..100).map(|n| (n * 37) % 100).map(|n| item(&format!("i{n:02}"), n / 3)).collect();
        let mut sorted = items.clone();
        sorted.sort_by_key(|item| (item.order(), item.1.name.clone()));
        let sorted: Vec<_> = sorted.iter().map(|item| item.1.name.clone()).collect();
        let pages = names(&items, u64::MAX);
        assert_eq!(pages.concat(), sorted);
        assert!(pages.iter().rev().skip(1).all(|page| page.len() == 7), "{pages:?}");
        let small = names(&items, items[0].1.encoded_len() as u64 * 3);
        assert_eq!(small.concat(), sorted);
        assert!(small.iter().all(|page| page.len() <= 3), "{small:?}");
        assert_eq!(names(&[], 1), [Vec::<String>::new()]);
    }

    /// What stands at the first page and at the last comes exactly once, whatever comes and goes meanwhile.
    #[test]
    fn a_list_that_changes_shows_what_stays_once() {
        let stays: Vec<_> = (0..60).map(|n| item(&format!("i{n:02}"), (n * 37) % 60 / 3)).collect();
        let (mut token, mut seen, mut turn) = (String::new(), Vec::new(), 0);
        loop {
            // Before and after where the reader is, some come and others go.
            let passing = (0..10).map(|n| item(&format!("p{turn}-{n}"), n * 2));
            let mut items: Vec<_> = stays.iter().cloned().chain(passing).collect();
            items.rotate_left(turn * 7);
            let mut page = Page::new(request(&token, "", u64::MAX)).expect("valid");
            items.iter().for_each(|item| page.offer(item));
            let (page, next) = page.finish(|item: &Item| item.1.clone());
            seen.extend(page.into_iter().map(|window| window.name).filter(|name| name.starts_with('i')));
            if next.is_empty() {
                break;
            }
            (token, turn) = (next, turn + 1);
        }
        assert!(turn > 5, "it is several pages");
        seen.sort();
        assert_eq!(seen, stays.iter().map(|item| item.1.name.clone()).collect::<Vec<_>>());
    }

    #[test]
    fn a_token_is_of_one_list_and_one_selection() {
        let mut page = Page::new(request("", "a", u64::MAX)).expect("valid");
        (0..20).for_each(|n| page.offer(&item(&format!("i{n}"), n)));
        let (_, token) = page.finish(|item: &Item| item.1.clone());
        assert!(Page::<Item>::new(request(&token, "a", 1)).is_ok());
        let code = |result: Result<(), Status>| result.err().map(|status| status.code());
        let other = Page::<Item>::new(request(&token, "b", 1)).map(|_| ());
        assert_eq!(code(other), Some(Code::FailedPrecondition));
        let list = Page::<ShownAlert>::new(request(&token, "a", 1)).map(|_| ());
        assert_eq!(code(list), Some(Code::InvalidArgument));
        let journal = Page::<Item>::new(Request { journal: [2; 16], ..request(&token, "a", 1) }).map(|_| ());
        assert_eq!(code(journal), Some(Code::InvalidArgument));
        for bad in ["x", "1.2", "1.2.x.y", &token[..20]] {
            assert_eq!(
                code(Page::<ShownAlert>::new(request(bad, "a", 1)).map(|_| ())),
                Some(Code::InvalidArgument),
                "{bad}"
            );
        }
    }
}
