//! `quell settle`: with recorded data, lets time pass until nothing more can happen.
use super::client::{connect, explain};
use quell_proto::v1::{SettleRequest, admin_client::AdminClient};

/// With clock = "events": concludes what stands in the sources, then lets time pass until nothing more can happen.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  quell settle --server 127.0.0.1:7117")]
pub struct SettleArgs {
    /// Where Quell listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7117")]
    server: String,
}

/// Returns when everything is concluded.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(args: SettleArgs) -> anyhow::Result<()> {
    let mut client = AdminClient::new(connect(&args.server).await?);
    client.settle(SettleRequest {}).await.map_err(explain)?;
    Ok(())
}
