//! Pages of a list: positions in a total order, so that what stood at the first page comes exactly once while things
//! change (<https://google.aip.dev/158>).
use prost::Message;
use std::sync::Arc;
use tonic::Status;

const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1_000;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub size: i32,
    pub token: &'a str,
    /// What else selects: a token is of one selection.
    pub parent: &'a str,
    pub filter: &'a str,
    pub bytes_max: u64,
}

/// Orders `items` by `key` and cuts a page.
///
/// # Errors
/// `INVALID_ARGUMENT` for a negative size, or a token that is malformed or of another list.
pub fn page<T>(
    request: Request<'_>,
    items: Vec<Arc<T>>,
    key: impl Fn(&T) -> (i64, String),
) -> Result<(Vec<T>, String), Status>
where
    T: Message + Clone,
{
    let size = match usize::try_from(request.size) {
        Ok(0) => PAGE_SIZE,
        Ok(size) => size.min(PAGE_SIZE_MAX),
        Err(_) => return Err(Status::invalid_argument("page_size: not below 0")),
    };
    let of = xxhash_rust::xxh3::xxh3_64(format!("{}\n{}", request.parent, request.filter).as_bytes());
    let after = decode(request.token, of)?;
    let mut keyed: Vec<_> = items
        .into_iter()
        .map(|item| (key(&item), item))
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .collect();
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let (mut page, mut bytes, mut next) = (Vec::new(), 0_u64, String::new());
    let mut keyed = keyed.into_iter().peekable();
    while let Some((key, item)) = keyed.next() {
        bytes += item.encoded_len() as u64;
        page.push(Arc::unwrap_or_clone(item));
        let full =
            page.len() >= size || keyed.peek().is_some_and(|(_, n)| bytes + n.encoded_len() as u64 > request.bytes_max);
        if full && keyed.peek().is_some() {
            next = encode(&key, of);
            break;
        }
    }
    Ok((page, next))
}

fn encode(key: &(i64, String), of: u64) -> String {
    format!("{of:016x}.{}.{}", key.0, key.1)
}

fn decode(token: &str, of: u64) -> Result<Option<(i64, String)>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let malformed = || Status::invalid_argument("page_token: malformed; use the one that the last page gave, as it is");
    let mut parts = token.splitn(3, '.');
    let found = parts.next().and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or_else(malformed)?;
    if found != of {
        return Err(Status::invalid_argument("page_token: it is of another parent or filter"));
    }
    let first = parts.next().and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
    Ok(Some((first, parts.next().ok_or_else(malformed)?.to_owned())))
}
