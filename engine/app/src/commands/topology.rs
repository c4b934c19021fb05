//! `quell topology`: entities, services and who depends on whom, as they hold now.
use super::{
    bad_input,
    client::{Connection, explain},
    table::{Look, printable},
};
use anyhow::Context as _;
use quell_proto::v1::{ApplyTopologyRequest, ApplyTopologyResponse, GetTopologyRequest, Topology};
use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
};

/// The topology that holds.
#[derive(Debug, clap::Subcommand)]
pub enum TopologyCommand {
    /// Prints it, as a topology file.
    #[command(after_help = "Example:\n  quell topology get > topology.json")]
    Get(Connection),
    /// Replaces it.
    #[command(after_help = "Examples:\n  quell topology apply topology.json\n  export-cmdb | quell topology apply -")]
    Apply {
        /// - is stdin.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Does it.
///
/// # Errors
/// Where the file can't be read, the server can't be reached or refuses.
pub async fn run(command: TopologyCommand) -> anyhow::Result<()> {
    match command {
        TopologyCommand::Get(connection) => {
            let topology = connection.client().await?.get_topology(GetTopologyRequest {}).await;
            connection.show("Topology", &topology.map_err(explain)?.into_inner(), whole)
        }
        TopologyCommand::Apply { file, connection } => {
            let json = read(&file).with_context(|| format!("{}: can't be read", file.display())).map_err(bad_input)?;
            let asked = ApplyTopologyRequest { topology: Some(Topology { json, version: 0 }) };
            let reply = connection.client().await?.apply_topology(asked).await.map_err(explain)?.into_inner();
            let told = |reply: &ApplyTopologyResponse, _| format!("version {}\n", reply.version);
            connection.show("ApplyTopologyResponse", &reply, told)
        }
    }
}

fn read(file: &PathBuf) -> io::Result<String> {
    if file.as_os_str() != "-" {
        return fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// As a file where it goes into one; on a terminal, harmless.
fn whole(topology: &Topology, look: Look) -> String {
    let end = if topology.json.ends_with('\n') { "" } else { "\n" };
    match look.columns {
        None => format!("{}{end}", topology.json),
        Some(_) => topology.json.lines().map(|line| printable(line) + "\n").collect(),
    }
}
