//! `quell run`: the service.
use super::bad_input;
use crate::{
    app::{App, Membership},
    config::Config,
    control::Repeat,
};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// The service: reads sources, correlates, serves the feed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  quell run                        local journal, doors on 127.0.0.1:7117\n  quell run --config quell.toml"
)]
pub struct RunArgs {
    /// Options; without it the defaults, with a local journal in ./quell-data.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folds and says what stands in the journal, takes a last snapshot, then ends: before an upgrade.
    #[arg(long)]
    drain: bool,
    /// What the configuration says of events holds, even where it held before and another has superseded it.
    #[arg(long)]
    apply: bool,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Where it can't start, or a partition has to stop.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let mut config = Config::load(args.config.as_deref()).map_err(bad_input)?;
    config.repeat = if args.apply { Repeat::IfNotLatest } else { Repeat::OnceOnly };
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let membership = if args.drain { Membership::Nobody } else { Membership::Group };
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // What does not start for another reason than the configuration may start later: whoever watches over it tries again.
    let mut app = App::start(&config, membership).await?;
    tracing::info!(address = %app.address, "listening: gRPC, HTTP and /metrics");
    if args.drain {
        app.api.until_ready().await?;
        app.stop().await;
        return Ok(());
    }
    let progress = app.api.shared.progress.clone();
    let tell_ready = async {
        progress.wait_ready().await;
        tracing::info!(partitions = progress.partitions(), "ready");
        std::future::pending().await
    };
    tokio::select! {
        () = tell_ready => {}
        _ = term.recv() => {}
        _ = int.recv() => {}
        failed = app.failed() => {
            let result = failed;
            app.stop().await;
            return result;
        }
    }
    tracing::info!("stopping");
    app.stop().await;
    Ok(())
}
