//! `quell`: event correlation for operations teams.
use clap::{CommandFactory as _, Parser, Subcommand};
use quell::{
    commands::{
        BadInput, act, alerts, causes, check, completion, corrections, demo, explain, feed, incidents, learn,
        maintenance, model, normal, preview, problems, replay, run, score, services, settle, silence, templates,
        topology, why_not,
    },
    demo::screen::LogWriter,
};
use quell_proto::v1::correction::Relation;
use std::{io::IsTerminal as _, process::ExitCode};
use tracing_subscriber::EnvFilter;

/// Events are many small texts: it takes a quarter less time over them than the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Millions of events in, a handful of incidents out.
#[derive(Debug, Parser)]
#[command(name = "quell", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Replay(replay::ReplayArgs),
    Learn(learn::LearnArgs),
    Causes(causes::CausesArgs),
    Score(score::ScoreArgs),
    Preview(preview::PreviewArgs),
    Templates(templates::TemplatesArgs),
    #[command(subcommand)]
    Model(model::ModelCommand),
    Feed(feed::FeedArgs),
    Settle(settle::SettleArgs),
    Incidents(incidents::IncidentsArgs),
    Explain(explain::ExplainArgs),
    Problems(problems::ProblemsArgs),
    WhyNot(why_not::WhyNotArgs),
    Alerts(alerts::AlertsArgs),
    Normal(normal::NormalArgs),
    Services(services::ServicesArgs),
    #[command(flatten)]
    Act(act::Act),
    Move(corrections::MoveArgs),
    /// Two have the same cause: nothing is moved, but such alerts will be put together.
    #[command(
        after_help = "Examples:\n  quell same-cause db-1/latency web-2/errors\n  quell same-cause payments-1042 payments-1044"
    )]
    SameCause(corrections::RelateArgs),
    /// Two are not related: nothing is moved, but such alerts will be kept apart.
    #[command(after_help = "Example:\n  quell not-related backup-1/slow payments-1042 --comment 'runs every night'")]
    NotRelated(corrections::RelateArgs),
    Corrections(corrections::CorrectionsArgs),
    #[command(subcommand)]
    Silence(silence::SilenceCommand),
    #[command(subcommand)]
    Maintenance(maintenance::MaintenanceCommand),
    #[command(subcommand)]
    Topology(topology::TopologyCommand),
    Completion(completion::CompletionArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What the demo tells is on its screen already.
    let is_demo = matches!(cli.command, Command::Demo(_));
    let unless_told = if is_demo { "warn" } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(unless_told));
    let ansi = std::io::stderr().is_terminal() && !is_demo;
    // A log that can't be written, on a full disk, is no reason to panic.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    log.with_env_filter(filter).with_writer(|| LogWriter).with_ansi(ansi).init();
    let done = match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Replay(args) => replay::run(&args),
        Command::Learn(args) => block_on(learn::run(args)),
        Command::Causes(args) => block_on(causes::run(args)),
        Command::Score(args) => score::run(&args),
        Command::Preview(args) => preview::run(&args),
        Command::Templates(args) => templates::run(&args),
        Command::Model(command) => block_on(model::run(command)),
        Command::Run(args) => block_on(run::run(args)),
        Command::Feed(args) => block_on(feed::run(args)),
        Command::Settle(args) => block_on(settle::run(args)),
        Command::Incidents(args) => block_on(incidents::run(args)),
        Command::Explain(args) => block_on(explain::run(args)),
        Command::Problems(args) => block_on(problems::run(args)),
        Command::WhyNot(args) => block_on(why_not::run(args)),
        Command::Alerts(args) => block_on(alerts::run(args)),
        Command::Normal(args) => block_on(normal::run(args)),
        Command::Services(args) => block_on(services::run(args)),
        Command::Act(act) => block_on(act::run(act)),
        Command::Move(args) => block_on(corrections::move_alerts(args)),
        Command::SameCause(args) => block_on(corrections::relate(args, Relation::SameCause)),
        Command::NotRelated(args) => block_on(corrections::relate(args, Relation::NotRelated)),
        Command::Corrections(args) => block_on(corrections::run(args)),
        Command::Silence(command) => block_on(silence::run(command)),
        Command::Maintenance(command) => block_on(maintenance::run(command)),
        Command::Topology(command) => block_on(topology::run(command)),
        Command::Completion(args) => completion::run(&args, Cli::command()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quell: {error:#}");
            ExitCode::from(if error.is::<BadInput>() { 2 } else { 1 })
        }
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}
