//! `quell model`: what was learned and is set over the configuration.
use super::{
    bad_input,
    client::{Connection, explain},
    table::{Cell, Look, Room, Table},
};
use crate::model::{Model, Weighing};
use quell_proto::v1;
use std::path::PathBuf;

/// What `quell learn` and `quell causes` found, set over the configuration of a service.
#[derive(Debug, clap::Subcommand)]
pub enum ModelCommand {
    /// Lists its versions; the last one holds.
    #[command(after_help = "Example:\n  quell model list")]
    List(Connection),
    /// Sets one over the configuration.
    #[command(after_help = "Example:\n  quell model apply model.json")]
    Apply {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
    /// Lets an earlier version hold again; without one what held before the last.
    #[command(
        after_help = "Examples:\n  quell model restore\n  quell model restore 3\n  quell model restore 0      (what is built in)"
    )]
    Restore {
        #[arg(value_name = "VERSION")]
        wanted: Option<u64>,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Does it.
///
/// # Errors
/// Where the file is no model, the server can't be reached or refuses.
pub async fn run(command: ModelCommand) -> anyhow::Result<()> {
    match command {
        ModelCommand::List(connection) => {
            let listed = connection.client().await?.list_models(v1::ListModelsRequest {}).await.map_err(explain)?;
            connection.show("ListModelsResponse", &listed.into_inner(), list)
        }
        ModelCommand::Apply { file, connection } => {
            let json = Model::read_file(&file).map_err(bad_input)?.json();
            let model = Some(v1::Model { json, ..v1::Model::default() });
            let applied = connection.client().await?.apply_model(v1::ApplyModelRequest { model }).await;
            connection.show("Model", &applied.map_err(explain)?.into_inner(), version)
        }
        ModelCommand::Restore { wanted, connection } => {
            let mut client = connection.client().await?;
            let listed = client.list_models(v1::ListModelsRequest {}).await.map_err(explain)?.into_inner().models;
            let before = || listed.len().checked_sub(2).map_or(0, |place| listed[place].version);
            let asked = v1::RestoreModelRequest { version: wanted.unwrap_or_else(before) };
            let restored = client.restore_model(asked).await.map_err(explain)?.into_inner();
            connection.show("Model", &restored, version)
        }
    }
}

fn version(model: &v1::Model, _: Look) -> String {
    let what = if model.json.is_empty() { "what is built in and configured holds" } else { "it holds" };
    format!("version {}: {what}\n", model.version)
}

fn list(listed: &v1::ListModelsResponse, look: Look) -> String {
    if listed.models.is_empty() {
        return "none: what is built in and configured holds\n".to_owned();
    }
    let heads = ["VERSION", "HOLDS", "EDGES", "HELD OUT", "PRECISION", "RECALL", "F1", "BUILT IN"]
        .map(|head| (head, Room::Whole));
    let mut table = Table::new(&[&heads[..], &[("WEIGHTS", Room::Text)]].concat());
    for model in &listed.models {
        let holds = if model.active { "yes" } else { "" };
        let mut cells = vec![Cell::new(&model.version.to_string()), Cell::new(holds)];
        let weights = match Model::read(&model.json) {
            Ok(Model { weighing, causality, .. }) => {
                let edges = if causality.is_empty() { String::new() } else { causality.len().to_string() };
                cells.push(Cell::new(&edges));
                weighing.map_or_else(String::new, |Weighing { weights, held_out, .. }| {
                    let learned = held_out.learned;
                    let shares = [learned.precision, learned.recall, learned.f1, held_out.built_in.f1];
                    cells.push(Cell::new(&held_out.alerts.to_string()));
                    cells.extend(shares.map(|share| Cell::new(&format!("{share:.4}"))));
                    weights.all().map(|weight| weight.to_string()).join(" ")
                })
            }
            Err(_) if model.json.is_empty() => "built in and configured".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        cells.resize_with(heads.len(), || Cell::new(""));
        cells.push(Cell::new(&weights));
        table.row(cells);
    }
    table.text(look, 0)
}
