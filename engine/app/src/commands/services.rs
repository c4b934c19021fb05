//! `quell services`: how well what users rely on does.
use super::{
    client::{self, Connection, explain, parent},
    table::{Cell, Look, Table},
};
use quell_proto::v1::{ListServicesRequest, Service};

/// Services, those that suffer most first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  quell services\n  quell services --scope payments --json")]
pub struct ServicesArgs {
    /// Of this scope only.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// `level != "HEALTHY"`
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    #[command(flatten)]
    connection: Connection,
}

/// Prints them.
///
/// # Errors
/// Where the server can't be reached or refuses.
pub async fn run(args: ServicesArgs) -> anyhow::Result<()> {
    let mut client = args.connection.client().await?;
    let (mut services, mut page_token) = (Vec::new(), String::new());
    loop {
        let (parent, filter) = (parent(args.scope.as_deref()), args.filter.clone());
        let page_size = client::page_size(usize::MAX);
        let asked = ListServicesRequest { parent, page_size, page_token, filter, ..Default::default() };
        let page = client.list_services(asked).await.map_err(explain)?.into_inner();
        services.extend(page.services);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    services.sort_by(|a, b| a.health_score().total_cmp(&b.health_score()));
    args.connection.show_all("Service", &services, list)
}

fn list(services: &[Service], look: Look) -> String {
    let mut table = Table::new(&["SERVICE", "SCOPE", "TIER", "HEALTH", "", "OPEN ALERTS", "MOSTLY BECAUSE"]);
    for service in services {
        let scope = service.name.strip_prefix("scopes/").and_then(|rest| rest.rsplit_once("/services/"));
        table.row(vec![
            Cell::new(&service.display_name),
            Cell::new(scope.map_or("", |(scope, _)| scope)),
            Cell::new(&service.tier),
            Cell::new(&format!("{:>5.0}", service.health_score())),
            Cell::health(service.level()),
            Cell::new(&service.open_alert_count.to_string()),
            Cell::new(service.contributions.first().map_or("", |worst| &worst.reason)),
        ]);
    }
    table.text(look, 0)
}
