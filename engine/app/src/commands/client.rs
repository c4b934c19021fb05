//! What the commands that ask a server share: the way to it, names of incidents, what it refuses, and how it is shown.
use super::{
    bad_input,
    json::Json,
    table::{self, Look, printable},
    to_stdout,
};
use crate::clock::{Outside as _, System};
use anyhow::anyhow;
use prost::Message;
use quell_connectors::{decode::time::rfc3339, wire};
use quell_core::domain::time::{Span, Timestamp};
use quell_proto::v1::{
    GetIncidentRequest, Incident, ListAlertsRequest, ListIncidentsRequest, quell_client::QuellClient,
};
use std::env;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

/// The largest answer taken, in bytes: a page is at most `server.page_bytes_max`.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Of what one name may mean, so many are told.
const NAMED_MAX: i32 = 5;

/// Of what is listed, at once.
const PAGE_SIZE_MAX: usize = 1_000;

/// A client.
pub type Client = QuellClient<Channel>;

/// Where it is asked, and how it is shown.
#[derive(Clone, Debug, clap::Args)]
pub struct Connection {
    /// Where Quell listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7117")]
    pub server: String,
    /// JSON for scripts, a resource a line: as over REST, but 64-bit integers are numbers, which are texts there.
    #[arg(long)]
    pub json: bool,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let channel = connect(&self.server).await?;
        Ok(QuellClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX))
    }

    /// Says beside what people read that there is nothing, or what else they may want to know.
    pub fn remark(&self, text: &str) {
        if !self.json {
            eprintln!("quell: {}", printable(text));
        }
    }

    /// Prints a resource: as JSON, or as `text` says it.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn show<T: Message>(
        &self,
        message: &str,
        resource: &T,
        text: impl FnOnce(&T, Look) -> String,
    ) -> anyhow::Result<()> {
        self.show_all(message, std::slice::from_ref(resource), |all, look| text(&all[0], look))
    }

    /// Prints resources.
    ///
    /// # Errors
    /// Where they can't be written.
    pub fn show_all<T: Message>(
        &self,
        message: &str,
        resources: &[T],
        text: impl FnOnce(&[T], Look) -> String,
    ) -> anyhow::Result<()> {
        if !self.json {
            return print(&text(resources, Look::stdout()));
        }
        let json = Json::of(message)?;
        let mut lines = String::new();
        for resource in resources {
            lines.push_str(&json.line(resource)?);
            lines.push('\n');
        }
        print(&lines)
    }
}

/// Who asks for something, and how often it was asked.
#[derive(Clone, Debug, clap::Args)]
pub struct Acting {
    /// Who asks; $USER without it.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Done once, however often it is sent; made by the server without it.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub request_id: String,
}

impl Acting {
    /// Who asks.
    ///
    /// # Errors
    /// Where nobody says.
    pub fn actor(&self) -> anyhow::Result<String> {
        let said = self.actor.clone().or_else(|| env::var("USER").ok()).filter(|actor| !actor.is_empty());
        said.ok_or_else(|| bad_input(anyhow!("who asks? $USER is empty: say it with --actor NAME")))
    }
}

/// From when until when.
#[derive(Clone, Debug, clap::Args)]
pub struct Window {
    /// For so long: 30m, 2h.
    #[arg(long = "for", value_name = "SPAN", conflicts_with = "until")]
    length: Option<Span>,
    /// Until then: 2026-11-26T02:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = rfc3339)]
    until: Option<Timestamp>,
    /// From then on; now without it.
    #[arg(long, value_name = "TIME", value_parser = rfc3339)]
    starts: Option<Timestamp>,
}

impl Window {
    /// When it starts, where that is not now, and when it ends.
    ///
    /// # Errors
    /// Where nobody says when it ends.
    pub fn times(&self) -> anyhow::Result<(Option<prost_types::Timestamp>, prost_types::Timestamp)> {
        let starts = self.starts.unwrap_or_else(|| System.now());
        let ends = self.until.or_else(|| self.length.map(|length| starts + length));
        let ends = ends.ok_or_else(|| bad_input(anyhow!("until when? Say it with --for or --until")))?;
        Ok((self.starts.map(wire::time), wire::time(ends)))
    }
}

/// What of a collection is listed.
#[derive(Clone, Debug, clap::Args)]
pub struct Page {
    /// Of this scope only.
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// Those that are over too.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub connection: Connection,
}

/// What is remarked of an empty list of what may be open.
pub fn none_open(what: &str, all: bool, narrowed: bool) -> String {
    match (all, narrowed) {
        (true, true) => format!("there is no such {what}"),
        (true, false) => format!("there is no {what}"),
        (false, true) => format!("no such {what} is open; --all shows those that were"),
        (false, false) => format!("no {what} is open; --all shows those that were"),
    }
}

/// A resource name: given so, by its id in the scope `default`, or as `SCOPE/ID`.
pub fn resource(means: &str, collection: &str) -> String {
    if means.starts_with("scopes/") {
        return means.to_owned();
    }
    let (scope, id) = means.split_once('/').unwrap_or(("default", means));
    format!("scopes/{scope}/{collection}/{id}")
}

/// The name of the alert that a person means: by its resource name, its id, `SCOPE/ID`, or `ENTITY/CHECK`, of which one
/// that is open goes before those that are not.
///
/// # Errors
/// Where there is none, or several; or the server does not answer.
pub async fn alert(client: &mut Client, means: &str) -> anyhow::Result<String> {
    let last = means.rsplit('/').next().unwrap_or_default();
    let is_id = last.len() == 16 && last.bytes().all(|byte| byte.is_ascii_hexdigit());
    if means.starts_with("scopes/") || !means.contains('/') || is_id && means.matches('/').count() == 1 {
        return Ok(resource(means, "alerts"));
    }
    // Both may have a `/`.
    let splits = means.match_indices('/').map(|(at, _)| (&means[..at], &means[at + 1..]));
    let one = |(entity, check)| format!("(entity = {} AND check = {})", quoted(entity), quoted(check));
    let of = splits.map(one).collect::<Vec<_>>().join(" OR ");
    for filter in [format!("({of}) AND state = OPEN"), of] {
        let asked = ListAlertsRequest { filter, page_size: NAMED_MAX, ..Default::default() };
        let page = client.list_alerts(asked).await.map_err(explain)?.into_inner();
        match &*page.alerts {
            [] => {}
            [one] => return Ok(one.name.clone()),
            several => {
                let more = if page.next_page_token.is_empty() { "" } else { " and more" };
                let ids: Vec<_> = several.iter().map(|alert| table::id(&alert.name)).collect();
                let ids = printable(&ids.join(", "));
                return Err(bad_input(anyhow!(
                    "several alerts are {}: {ids}{more}; name one by its id",
                    printable(means)
                )));
            }
        }
    }
    Err(bad_input(anyhow!("there is no alert {}", printable(means))))
}

/// `http://` in front of a bare address.
pub fn endpoint(server: &str) -> String {
    if server.contains("://") { server.to_owned() } else { format!("http://{server}") }
}

/// A way to a server.
///
/// # Errors
/// Where nobody answers there: says what can be done.
pub async fn connect(server: &str) -> anyhow::Result<Channel> {
    let malformed = |_| bad_input(anyhow!("--server: `{}` is no address: write 127.0.0.1:7117", printable(server)));
    let endpoint = Endpoint::from_shared(endpoint(server)).map_err(malformed)?;
    endpoint.connect().await.map_err(|error| {
        let cause = printable(&root(&error));
        anyhow!("{}: can't connect: {cause}: is `quell run` up? --server names another address", printable(server))
    })
}

/// What began a chain of errors: those above it say the same in other words.
fn root(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// Whether the other end of a connection has not answered as gRPC does: what Quell says of itself has no cause here.
fn speaks_otherwise(status: &Status) -> bool {
    let broken = std::error::Error::source(status).is_some() && status.code() != Code::Unavailable;
    broken || status.message().starts_with("grpc-status header missing")
}

/// A status as a person reads it; what is the caller's to mend is bad input.
pub fn explain(status: Status) -> anyhow::Error {
    if speaks_otherwise(&status) {
        return anyhow!("what answers there does not speak gRPC: is it Quell? --server names another address");
    }
    let error = anyhow!("{}", printable(status.message())).context(format!("the server says {:?}", status.code()));
    match status.code() {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::NotFound
        | Code::AlreadyExists
        | Code::Aborted
        | Code::PermissionDenied
        | Code::Unauthenticated => bad_input(error),
        _ => error,
    }
}

/// `scopes/payments` of `payments`; empty without one.
pub fn parent(scope: Option<&str>) -> String {
    scope.map(|scope| format!("scopes/{scope}")).unwrap_or_default()
}

/// All that stands on the pages of a list, which are asked for by token: what is on one, and the token of the next.
///
/// # Errors
/// Where a page can't be had.
pub async fn every_page<T>(
    mut page: impl AsyncFnMut(String) -> anyhow::Result<(Vec<T>, String)>,
) -> anyhow::Result<Vec<T>> {
    let (mut all, mut token) = page(String::new()).await?;
    while !token.is_empty() {
        let (more, next) = page(token).await?;
        all.extend(more);
        token = next;
    }
    Ok(all)
}

/// The incident that a person means: by its resource name, by its number `payments-1042`, or `1042` in the scope
/// `default`.
///
/// # Errors
/// Where there is none, or the server does not answer.
pub async fn incident(client: &mut Client, means: &str) -> anyhow::Result<Incident> {
    if means.starts_with("scopes/") {
        let asked = GetIncidentRequest { name: means.to_owned(), ..Default::default() };
        return Ok(client.get_incident(asked).await.map_err(explain)?.into_inner());
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits(means) { format!("default-{means}") } else { means.to_owned() };
    let scope = number.rsplit_once('-').filter(|(scope, n)| !scope.is_empty() && digits(n)).map(|(scope, _)| scope);
    let scope = scope.ok_or_else(|| {
        bad_input(anyhow!("`{}` is no incident: write payments-1042, or its resource name", printable(means)))
    })?;
    let (parent, filter) = (parent(Some(scope)), format!("number = {}", quoted(&number)));
    let asked = ListIncidentsRequest { parent, filter, page_size: 1, ..Default::default() };
    let found = client.list_incidents(asked).await.map_err(explain)?.into_inner().incidents.pop();
    found.ok_or_else(|| bad_input(anyhow!("there is no incident {}", printable(&number))))
}

/// Two filters, of which both have to hold. A person's own stands first, so that errors count its characters.
pub fn both(one: Option<String>, other: Option<String>) -> String {
    let given = [one, other].into_iter().flatten().filter(|filter| !filter.trim().is_empty());
    given.collect::<Vec<_>>().join(" AND ")
}

/// As the API takes it.
pub fn page_size(left: usize) -> i32 {
    i32::try_from(left.clamp(1, PAGE_SIZE_MAX)).unwrap_or(1)
}

/// Says beside the output that there are more.
pub fn remark(more: bool, shown: usize, what: &str) {
    if more {
        eprintln!("quell: there are more than {shown} {what}; --limit shows more");
    }
}

/// A text of a filter.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Prints it; a reader of our output that has left is no failure.
///
/// # Errors
/// Where it can't be written.
pub fn print(text: &str) -> anyhow::Result<()> {
    to_stdout(|out| Ok(out.write_all(text.as_bytes())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_meant_by_its_name_or_id() {
        for (means, name) in [
            ("ff", "scopes/default/silences/ff"),
            ("payments/ff", "scopes/payments/silences/ff"),
            ("scopes/payments/silences/ff", "scopes/payments/silences/ff"),
        ] {
            assert_eq!(resource(means, "silences"), name);
        }
    }

    #[test]
    fn filters_quote() {
        assert_eq!(quoted("a\"b\\"), r#""a\"b\\""#);
    }
}
