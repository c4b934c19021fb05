//! `quell normal`: what a measured series does now is as usual from here on.
use super::{
    BadInput, alerts, bad_input,
    client::{self, Acting, Connection, explain},
    table::printable,
};
use anyhow::anyhow;
use quell_proto::v1::MarkAlertNormalRequest;

/// This is normal: what the alert's series does now is learned as usual, and the alert clears.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell normal 00f1a2b3c4d5e6f7\n  quell normal scopes/payments/alerts/00f1a2b3c4d5e6f7 --undo"
)]
pub struct NormalArgs {
    /// Its id (SCOPE/ID in another scope than `default`), its resource name, or ENTITY/CHECK:
    /// quell alerts --filter 'origin = "quell"'. One that is no longer kept is known by its id alone
    #[arg(value_name = "ALERT")]
    alert: String,
    /// It was not normal after all: what was usual before is usual again.
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    connection: Connection,
}

/// Asks for it, and prints the alert.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(args: NormalArgs) -> anyhow::Result<()> {
    let NormalArgs { alert, undo, acting, connection } = args;
    let actor = acting.actor()?;
    let mut client = connection.client().await?;
    let name = client::alert(&mut client, &alert).await.map_err(|error| match error.downcast_ref::<BadInput>() {
        Some(BadInput(why)) if undo => bad_input(anyhow!("{why}; one that is no longer kept is known by its id alone")),
        _ => error,
    })?;
    let asked = MarkAlertNormalRequest { name: name.clone(), request_id: acting.request_id, actor, undo };
    let reply = client.mark_alert_normal(asked).await.map_err(explain)?.into_inner();
    connection.show("AlertReply", &reply, |reply, look| {
        let of = |alert| alerts::list(std::slice::from_ref(alert), look);
        reply
            .alert
            .as_ref()
            .map_or_else(|| format!("{}: it is done; the alert is no longer kept\n", printable(&name)), of)
    })
}
