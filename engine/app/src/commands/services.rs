//! `quell services`: how well what users rely on does.
use super::{
    bad_input,
    client::{self, Client, Connection, explain, parent, quoted},
    incidents::facts,
    table::{Cell, Look, Room, Table, Tone, printable, time, word},
};
use anyhow::anyhow;
use quell_proto::v1::{GetServiceRequest, HealthForecast, ListAlertsRequest, ListServicesRequest, Service};

/// What the health of a service leaves out of its open alerts.
const UNCOUNTED: &str = "what a KPI says counts with the KPI, and what is muted does not";

/// Services, those that suffer most first, or one in full.
///
/// COUNTED ALERTS are open and take points: what a KPI says counts with the KPI, and what is muted does not.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quell services\n  quell services payments\n  quell services --scope payments --json"
)]
pub struct ServicesArgs {
    /// Its id, its name, or its resource name.
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
        let service = meant(&mut client, means).await?;
        let open = if args.connection.json { String::new() } else { open_alerts(&mut client, &service).await? };
        return args.connection.show("Service", &service, |service, look| detail(service, &open, look));
    }
    let mut services = all(&mut client, args.scope.as_deref(), &args.filter).await?;
    services.sort_by(|a, b| a.health_score().total_cmp(&b.health_score()));
    args.connection.show_all("Service", &services, list)?;
    if services.is_empty() {
        let narrowed = args.scope.is_some() || !args.filter.is_empty();
        args.connection.remark(if narrowed { "there is no such service" } else { "no service is known yet" });
    }
    Ok(())
}

/// Those of a scope, or of all, that pass.
async fn all(client: &mut Client, scope: Option<&str>, filter: &str) -> anyhow::Result<Vec<Service>> {
    client::every_page(async |page_token| {
        let (parent, filter) = (parent(scope), filter.to_owned());
        let page_size = client::page_size(usize::MAX);
        let asked = ListServicesRequest { parent, page_size, page_token, filter, ..Default::default() };
        let page = client.list_services(asked).await.map_err(explain)?.into_inner();
        Ok((page.services, page.next_page_token))
    })
    .await
}

/// The service that a person means: by its resource name, its id in the scope `default`, or its id or name in any.
async fn meant(client: &mut Client, means: &str) -> anyhow::Result<Service> {
    if means.starts_with("scopes/") {
        let asked = GetServiceRequest { name: means.to_owned(), ..Default::default() };
        return Ok(client.get_service(asked).await.map_err(explain)?.into_inner());
    }
    let filter = format!("display_name = {means} OR name:{means}", means = quoted(means));
    one_of(all(client, None, &filter).await?, means)
}

/// An id goes before a name, and the scope `default` before others.
fn one_of(services: Vec<Service>, means: &str) -> anyhow::Result<Service> {
    let default = format!("scopes/default/services/{means}");
    let has_id = |service: &Service| id(service) == means;
    let (by_id, others): (Vec<_>, Vec<_>) = services.into_iter().partition(has_id);
    if let Some(service) = by_id.iter().find(|service| service.name == default) {
        return Ok(service.clone());
    }
    let found = if by_id.is_empty() {
        others.into_iter().filter(|service| service.display_name == means).collect()
    } else {
        by_id
    };
    match &*found {
        [] => Err(bad_input(anyhow!("there is no service {}", printable(means)))),
        [service] => Ok(service.clone()),
        several => {
            let names: Vec<_> = several.iter().map(|service| printable(&service.name)).collect();
            Err(bad_input(anyhow!("several services are {}: {}", printable(means), names.join(", "))))
        }
    }
}

/// `payments` of `scopes/default/services/payments`
fn id(service: &Service) -> &str {
    service.name.split_once("/services/").map_or(&*service.name, |(_, id)| id)
}

/// How many of its alerts are open; the service itself counts those that take points.
async fn open_alerts(client: &mut Client, service: &Service) -> anyhow::Result<String> {
    let parent = service.name.split_once("/services/").map_or_else(String::new, |(scope, _)| scope.to_owned());
    let filter = format!("state = OPEN AND service = {}", quoted(id(service)));
    let page_size = client::page_size(usize::MAX);
    let asked = ListAlertsRequest { parent, filter, page_size, ..Default::default() };
    let page = client.list_alerts(asked).await.map_err(explain)?.into_inner();
    let more = if page.next_page_token.is_empty() { "" } else { " and more" };
    Ok(format!("{}{more}", page.alerts.len()))
}

fn detail(service: &Service, open: &str, look: Look) -> String {
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
            ("forecast", service.forecast.as_ref().map(forecast).unwrap_or_default()),
            ("open alerts", open.to_owned()),
            ("counted alerts", format!("{} that take points; {UNCOUNTED}", service.open_alert_count)),
            ("updated", time(service.updated_at.as_ref())),
        ],
    ));
    let mut section = |title: &str, table: &Table| {
        text.push_str(&format!("\n{}\n{}", look.paint(title, Tone::Head), table.text(look, 2)));
    };
    if !service.contributions.is_empty() {
        let mut table = Table::bare(&[Room::Whole, Room::Text]);
        for from in &service.contributions {
            table.row(vec![Cell::new(&format!("{:>5.1}", from.points)), Cell::new(&from.reason)]);
        }
        section("What takes points", &table);
    }
    if !service.kpis.is_empty() {
        let mut table = Table::new(&[
            ("KPI", Room::Name),
            ("LEVEL", Room::Whole),
            ("VALUE", Room::Whole),
            ("IMPORTANCE", Room::Whole),
            ("SCORE", Room::Whole),
        ]);
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

/// `70 at 2026-01-05 09:30:00 UTC, 80 %: 40 to 100`
fn forecast(told: &HealthForecast) -> String {
    let HealthForecast { health_score, low, high, adopted, .. } = told;
    let by = if *adopted { "" } else { " (as it was: no forecast has been better)" };
    format!("{health_score:.0} at {}, 80 %: {low:.0} to {high:.0}{by}", time(told.time.as_ref()))
}

fn list(services: &[Service], look: Look) -> String {
    let mut table = Table::new(&[
        ("SERVICE", Room::Whole),
        ("NAME", Room::Name),
        ("SCOPE", Room::Whole),
        ("TIER", Room::Whole),
        ("HEALTH", Room::Whole),
        ("", Room::Whole),
        ("COUNTED ALERTS", Room::Whole),
        ("MOSTLY BECAUSE", Room::Text),
    ]);
    for service in services {
        let scope = service.name.strip_prefix("scopes/").and_then(|rest| rest.split_once('/'));
        let other_name = Some(&*service.display_name).filter(|name| *name != id(service));
        table.row(vec![
            Cell::new(id(service)),
            Cell::new(other_name.unwrap_or_default()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, display_name: &str) -> Service {
        let level = quell_proto::v1::HealthLevel::Impaired as i32;
        Service { name: name.into(), display_name: display_name.into(), level, ..Default::default() }
    }

    #[test]
    fn a_service_is_meant_by_its_id_or_name() -> anyhow::Result<()> {
        let all = vec![
            service("scopes/default/services/pay", "Payments"),
            service("scopes/eu/services/pay", "Payments EU"),
            service("scopes/eu/services/a/b", "Shop"),
            service("scopes/us/services/shop", "Shop"),
        ];
        for (means, name) in [
            ("pay", "scopes/default/services/pay"),
            ("Payments EU", "scopes/eu/services/pay"),
            ("a/b", "scopes/eu/services/a/b"),
        ] {
            assert_eq!(one_of(all.clone(), means)?.name, name);
        }
        for (means, part) in
            [("Shop", "scopes/eu/services/a/b, scopes/us/services/shop"), ("Sho", "there is no service")]
        {
            assert!(one_of(all.clone(), means).is_err_and(|error| error.to_string().contains(part)), "{means}");
        }
        Ok(())
    }

    #[test]
    fn the_id_is_shown_beside_another_name() {
        let text =
            list(&[service("scopes/default/services/pay", "Payments")], Look { columns: Some(80), colour: false });
        assert!(text.contains("pay ") && text.contains("Payments "), "{text}");
        let text = list(&[service("scopes/default/services/pay", "pay")], Look { columns: Some(80), colour: false });
        assert!(!text.contains("NAME"), "{text}");
    }
}
