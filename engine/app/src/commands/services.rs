//! `quell services`: how well what users rely on does.
use super::{
    client::{self, Connection, explain, parent, resource},
    incidents::facts,
    table::{Cell, Look, Table, Tone, time, word},
};
use quell_proto::v1::{GetServiceRequest, ListServicesRequest, Service};

/// Services, those that suffer most first, or one in full.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell services\n  quell services payments\n  quell services --scope payments --json"
)]
pub struct ServicesArgs {
    /// Its resource name, or its id in the scope `default`.
    #[arg(value_name = "SERVICE", conflicts_with_all = ["scope", "filter"])]
    service: Option<String>,
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
    if let Some(means) = &args.service {
        let asked = GetServiceRequest { name: resource(means, "services"), ..Default::default() };
        let service = client.get_service(asked).await.map_err(explain)?.into_inner();
        return args.connection.show("Service", &service, detail);
    }
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

fn detail(service: &Service, look: Look) -> String {
    let head = [
        look.paint(&Cell::new(&service.display_name).into_text(), Tone::Head),
        format!("{:.0}", service.health_score()),
        Cell::health(service.level()).into_text(),
    ];
    let mut text = format!("{}\n{}\n", head.join("  "), look.paragraph(&service.reason, 0));
    text.push_str(&facts(
        look,
        &[
            ("name", service.name.clone()),
            ("tier", service.tier.clone()),
            ("open alerts", service.open_alert_count.to_string()),
            ("updated", time(service.updated_at.as_ref())),
        ],
    ));
    let mut section = |title: &str, table: &Table| {
        text.push_str(&format!("\n{}\n{}", look.paint(title, Tone::Head), table.text(look, 2)));
    };
    if !service.contributions.is_empty() {
        let mut table = Table::bare();
        for from in &service.contributions {
            table.row(vec![Cell::new(&format!("{:>5.1}", from.points)), Cell::new(&from.reason)]);
        }
        section("What takes points", &table);
    }
    if !service.kpis.is_empty() {
        let mut table = Table::new(&["KPI", "LEVEL", "VALUE", "IMPORTANCE", "SCORE"]);
        for kpi in &service.kpis {
            let level = kpi.level().as_str_name();
            table.row(vec![
                Cell::new(&kpi.title),
                Cell::new(&word(level.strip_prefix("KPI_").unwrap_or(level))),
                Cell::new(&format!("{} {}", kpi.value, kpi.unit)),
                Cell::new(&kpi.importance.to_string()),
                Cell::new(&kpi.score.map(|score| format!("{score:.0}")).unwrap_or_default()),
            ]);
        }
        section("KPIs", &table);
    }
    text
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
