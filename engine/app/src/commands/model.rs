//! `quell model`: what was learned and is set over the configuration.
use super::{
    bad_input,
    client::{Connection, explain},
    table::{Cell, Look, Room, Table},
};
use crate::model::Model;
use quell_proto::v1;
use std::path::PathBuf;

/// What `quell learn` found, set over the configuration of a service.
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
    let heads = ["VERSION", "HOLDS", "WEIGHTS", "HELD OUT", "PRECISION", "RECALL", "F1", "BUILT IN"];
    let mut table = Table::new(&heads.map(|head| (head, Room::Whole)));
    for model in &listed.models {
        let holds = if model.active { "yes" } else { "" };
        let mut cells = vec![Cell::new(&model.version.to_string()), Cell::new(holds)];
        match Model::read(&model.json) {
            Ok(Model { weights, held_out, .. }) => {
                let weights = weights.all().map(|weight| weight.to_string()).join(" ");
                let learned = held_out.learned;
                let shares = [learned.precision, learned.recall, learned.f1, held_out.built_in.f1];
                cells.extend([Cell::new(&weights), Cell::new(&held_out.alerts.to_string())]);
                cells.extend(shares.map(|share| Cell::new(&format!("{share:.4}"))));
            }
            Err(_) if model.json.is_empty() => cells.push(Cell::new("built in and configured")),
            Err(error) => cells.push(Cell::new(&format!("{error:#}"))),
        }
        cells.resize_with(heads.len(), || Cell::new(""));
        table.row(cells);
    }
    table.text(look, 0)
}
