//! The gRPC API: reads from the views, the feed, and what an administrator asks.
use super::{
    commands::{Asked, OnIncident},
    door::Door,
    errors::{invalid, no_alert, not_found, refused, unavailable},
    feed,
    filter::{Filter, Filtered},
    names,
    page::{self, Listed, Page},
    subscriptions::Subscriptions,
    watch,
};
use crate::{
    ingest,
    stop::Stop,
    views::{ShownAlert, Views},
};
use quell_connectors::{
    decode::{Format, Mapping},
    log::Topic,
    wire,
};
use quell_core::domain::{
    alert::AlertId,
    command::Act,
    incident::{IncidentId, State},
};
use quell_proto::v1::{self, admin_server::Admin, journal_record::Record, quell_server::Quell};
use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::{Code, Request, Response, Status};

/// How long a call waits for the process to be ready, or for a position.
const READY_MAX: Duration = Duration::from_secs(30);

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    pub shared: ingest::Shared,
    pub views: Arc<Views>,
    pub feeds: Arc<Semaphore>,
    pub subscriptions: Arc<Subscriptions>,
    /// How events at the doors are read.
    pub mappings: Arc<BTreeMap<Format, Mapping>>,
    pub sources: mpsc::Sender<ingest::CaughtUp>,
    pub page_bytes_max: u64,
    pub door: Arc<Door>,
    pub stop: Stop,
}

impl Api {
    /// Waits until reads are right.
    ///
    /// # Errors
    /// `UNAVAILABLE` where a recovery takes too long.
    pub async fn until_ready(&self) -> Result<(), Status> {
        let ready = async {
            while !self.shared.progress.is_ready() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let timely = tokio::time::timeout(READY_MAX, ready).await;
        timely.map_err(|_| unavailable("recovering; /ready tells when it is done"))
    }

    /// Waits until everything that stood in the sources is concluded and said; the ends of the feed's topic then, by
    /// partition.
    ///
    /// # Errors
    /// `UNAVAILABLE` where the sources can't be asked.
    pub async fn caught_up(&self) -> Result<Vec<u64>, Status> {
        self.until_ready().await?;
        self.sources_journaled().await?;
        let mut ends = Vec::new();
        for partition in 0..self.shared.partitions {
            let journal = self.shared.log.extent(Topic::Journal, partition).await.map_err(unavailable)?;
            self.shared.progress.wait_folded(partition, journal.end).await;
            let feed = self.shared.log.extent(Topic::Incidents, partition).await.map_err(unavailable)?;
            ends.push(feed.end);
        }
        Ok(ends)
    }

    /// Waits until everything that stands in the sources now is in the journal.
    async fn sources_journaled(&self) -> Result<(), Status> {
        let cannot = || unavailable("the sources can't be asked now; try again");
        let (tell, told) = oneshot::channel();
        self.sources.send(tell).await.map_err(|_| cannot())?;
        told.await.map_err(|_| cannot())
    }

    /// Waits until what was concluded up to a position is said, and the views show it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a malformed position, `DEADLINE_EXCEEDED` where it takes too long.
    pub(super) async fn await_position(&self, position: &str) -> Result<(), Status> {
        let positions = decode_position(position, self.shared.partitions)?;
        let seen = async {
            for (partition, position) in positions {
                self.shared.progress.wait_folded(partition, position + 1).await;
            }
        };
        let timely = tokio::time::timeout(READY_MAX, seen).await;
        timely.map_err(|_| {
            refused(Code::DeadlineExceeded, "NOT_CONCLUDED", "min_position: not concluded yet; ask again for it")
        })
    }
}

/// Journal positions, by partition, as text: opaque to clients.
pub fn encode_position(positions: &BTreeMap<u32, u64>) -> String {
    let mut text = String::new();
    for (partition, position) in positions {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string can't fail.
        let _ = write!(text, "{comma}{partition}:{position}");
    }
    text
}

fn decode_position(text: &str, partitions: u32) -> Result<BTreeMap<u32, u64>, Status> {
    let malformed = || invalid("min_position", "malformed; use one that an answer gave, as it is");
    let one = |part: &str| {
        let (partition, position) = part.split_once(':').ok_or_else(malformed)?;
        let partition: u32 = partition.parse().map_err(|_| malformed())?;
        let position: u64 = position.parse().map_err(|_| malformed())?;
        if partition < partitions && position < u64::MAX { Ok((partition, position)) } else { Err(malformed()) }
    };
    text.split(',').filter(|part| !part.is_empty()).map(one).collect()
}

/// What every list is asked for.
pub(super) struct Listing<'a> {
    pub parent: &'a str,
    pub size: i32,
    pub token: &'a str,
    pub filter: &'a str,
    pub min_position: &'a str,
}

impl<'a> Listing<'a> {
    pub const fn new(parent: &'a str, (size, token): (i32, &'a str), filter: &'a str, min_position: &'a str) -> Self {
        Self { parent, size, token, filter, min_position }
    }
}

impl Api {
    /// A page of a view, as messages: of one scope or all, those that pass, in their order.
    pub(super) async fn list<T: Listed + Filtered, I: Iterator<Item = T>, M: prost::Message>(
        &self,
        all: impl FnOnce() -> I,
        message: impl Fn(&T) -> M,
        asked: Listing<'_>,
    ) -> Result<(Vec<M>, String), Status> {
        let Listing { parent, size, token, filter, min_position } = asked;
        let (prefix, passes) = (names::prefix(parent)?, Filter::<T>::parse(filter)?);
        let (journal, bytes_max) = (self.shared.control.latest().uuid, self.page_bytes_max);
        let mut page = Page::new(page::Request { size, token, parent, filter, journal, bytes_max })?;
        self.await_position(min_position).await?;
        let is_asked_for = |item: &T| item.name().starts_with(&prefix) && passes.matches(item);
        all().filter(is_asked_for).for_each(|item| page.offer(&item));
        Ok(page.finish(message))
    }
}

#[tonic::async_trait]
impl Quell for Api {
    async fn list_incidents(
        &self,
        request: Request<v1::ListIncidentsRequest>,
    ) -> Result<Response<v1::ListIncidentsResponse>, Status> {
        let v1::ListIncidentsRequest { parent, page_size, page_token, filter, min_position } = request.into_inner();
        let asked = Listing::new(&parent, (page_size, &page_token), &filter, &min_position);
        let all = || self.views.incidents.iter().map(|entry| entry.value().clone());
        let (incidents, next_page_token) = self.list(all, |update| wire::incident(update), asked).await?;
        Ok(Response::new(v1::ListIncidentsResponse { incidents, next_page_token }))
    }

    async fn list_problems(
        &self,
        request: Request<v1::ListProblemsRequest>,
    ) -> Result<Response<v1::ListProblemsResponse>, Status> {
        let v1::ListProblemsRequest { parent, page_size, page_token, filter, min_position } = request.into_inner();
        let asked = Listing::new(&parent, (page_size, &page_token), &filter, &min_position);
        let all = || self.views.problems.iter().map(|entry| entry.value().clone());
        let (problems, next_page_token) = self.list(all, |problem| v1::Problem::clone(problem), asked).await?;
        Ok(Response::new(v1::ListProblemsResponse { problems, next_page_token }))
    }

    async fn get_incident(&self, request: Request<v1::GetIncidentRequest>) -> Result<Response<v1::Incident>, Status> {
        let request = request.into_inner();
        let (_, id) = names::parse_id("name", &request.name, "incidents")?;
        self.await_position(&request.min_position).await?;
        let found = self.views.incident(IncidentId(id)).filter(|incident| incident.name == request.name);
        found.map(Response::new).ok_or_else(|| not_found("incident", &request.name))
    }

    type WatchIncidentsStream = feed::Updates;

    async fn watch_incidents(
        &self,
        request: Request<v1::WatchIncidentsRequest>,
    ) -> Result<Response<feed::Updates>, Status> {
        feed::watch(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_alerts(
        &self,
        request: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        let v1::ListAlertsRequest { parent, page_size, page_token, filter, min_position } = request.into_inner();
        let asked = Listing::new(&parent, (page_size, &page_token), &filter, &min_position);
        let (alerts, next_page_token) = self.list(|| self.views.all_alerts(), ShownAlert::message, asked).await?;
        Ok(Response::new(v1::ListAlertsResponse { alerts, next_page_token }))
    }

    async fn get_alert(&self, request: Request<v1::GetAlertRequest>) -> Result<Response<v1::Alert>, Status> {
        let request = request.into_inner();
        let (_, id) = names::parse_id("name", &request.name, "alerts")?;
        self.await_position(&request.min_position).await?;
        let found =
            self.views.alert(AlertId(id)).map(|alert| alert.message()).filter(|alert| alert.name == request.name);
        found.map(Response::new).ok_or_else(|| no_alert(&request.name))
    }

    type WatchAlertsStream = watch::Changes<v1::WatchAlertsResponse>;

    async fn watch_alerts(
        &self,
        request: Request<v1::WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        watch::watch(self, watch::Alerts::of(request.get_ref())?).await.map(Response::new)
    }

    async fn list_services(
        &self,
        request: Request<v1::ListServicesRequest>,
    ) -> Result<Response<v1::ListServicesResponse>, Status> {
        let v1::ListServicesRequest { parent, page_size, page_token, filter, min_position } = request.into_inner();
        let asked = Listing::new(&parent, (page_size, &page_token), &filter, &min_position);
        let all = || self.views.services.iter().map(|entry| entry.value().clone());
        let (services, next_page_token) = self.list(all, |service| v1::Service::clone(service), asked).await?;
        Ok(Response::new(v1::ListServicesResponse { services, next_page_token }))
    }

    async fn get_service(&self, request: Request<v1::GetServiceRequest>) -> Result<Response<v1::Service>, Status> {
        let request = request.into_inner();
        names::parse("name", &request.name, "services")?;
        self.await_position(&request.min_position).await?;
        let found = self.views.services.get(&request.name).map(|entry| v1::Service::clone(&entry));
        found.map(Response::new).ok_or_else(|| not_found("service", &request.name))
    }

    async fn acknowledge_incident(
        &self,
        request: Request<v1::AcknowledgeIncidentRequest>,
    ) -> Result<Response<v1::IncidentReply>, Status> {
        let v1::AcknowledgeIncidentRequest { name, request_id, actor, etag, comment } = request.into_inner();
        let on = OnIncident { name, asked: Asked { request_id, actor }, etag, comment };
        self.on_incident(on, Act::Acknowledge).await.map(Response::new)
    }

    async fn assign_incident(
        &self,
        request: Request<v1::AssignIncidentRequest>,
    ) -> Result<Response<v1::IncidentReply>, Status> {
        self.assign(request.into_inner()).await.map(Response::new)
    }

    async fn set_incident_state(
        &self,
        request: Request<v1::SetIncidentStateRequest>,
    ) -> Result<Response<v1::IncidentReply>, Status> {
        self.set_state(request.into_inner()).await.map(Response::new)
    }

    async fn comment_incident(
        &self,
        request: Request<v1::CommentIncidentRequest>,
    ) -> Result<Response<v1::IncidentReply>, Status> {
        self.comment(request.into_inner()).await.map(Response::new)
    }

    async fn resolve_incident(
        &self,
        request: Request<v1::ResolveIncidentRequest>,
    ) -> Result<Response<v1::IncidentReply>, Status> {
        let v1::ResolveIncidentRequest { name, request_id, actor, etag, comment } = request.into_inner();
        let on = OnIncident { name, asked: Asked { request_id, actor }, etag, comment };
        self.on_incident(on, Act::State(State::Resolved)).await.map(Response::new)
    }

    async fn close_incident(
        &self,
        request: Request<v1::CloseIncidentRequest>,
    ) -> Result<Response<v1::IncidentReply>, Status> {
        let v1::CloseIncidentRequest { name, request_id, actor, etag, comment } = request.into_inner();
        let on = OnIncident { name, asked: Asked { request_id, actor }, etag, comment };
        self.on_incident(on, Act::State(State::Closed)).await.map(Response::new)
    }

    async fn merge_incidents(
        &self,
        request: Request<v1::MergeIncidentsRequest>,
    ) -> Result<Response<v1::IncidentReply>, Status> {
        self.merge(request.into_inner()).await.map(Response::new)
    }

    async fn split_incident(
        &self,
        request: Request<v1::SplitIncidentRequest>,
    ) -> Result<Response<v1::IncidentReply>, Status> {
        self.split(request.into_inner()).await.map(Response::new)
    }

    async fn move_alerts(
        &self,
        request: Request<v1::MoveAlertsRequest>,
    ) -> Result<Response<v1::IncidentReply>, Status> {
        self.move_alerts(request.into_inner()).await.map(Response::new)
    }

    async fn link_ticket(
        &self,
        request: Request<v1::LinkTicketRequest>,
    ) -> Result<Response<v1::IncidentReply>, Status> {
        self.link_ticket(request.into_inner()).await.map(Response::new)
    }

    async fn why_not(&self, request: Request<v1::WhyNotRequest>) -> Result<Response<v1::WhyNotResponse>, Status> {
        self.why_not_together(request.into_inner()).await.map(Response::new)
    }

    async fn mark_alert_normal(
        &self,
        request: Request<v1::MarkAlertNormalRequest>,
    ) -> Result<Response<v1::AlertReply>, Status> {
        self.mark_normal(request.into_inner()).await.map(Response::new)
    }

    async fn acknowledge_updates(
        &self,
        request: Request<v1::AcknowledgeUpdatesRequest>,
    ) -> Result<Response<v1::AcknowledgeUpdatesResponse>, Status> {
        self.acknowledge(request.into_inner()).await.map(Response::new)
    }

    type WatchServicesStream = watch::Changes<v1::WatchServicesResponse>;

    async fn watch_services(
        &self,
        request: Request<v1::WatchServicesRequest>,
    ) -> Result<Response<Self::WatchServicesStream>, Status> {
        watch::watch(self, watch::Services::of(request.get_ref())?).await.map(Response::new)
    }

    async fn create_silence(
        &self,
        request: Request<v1::CreateSilenceRequest>,
    ) -> Result<Response<v1::SilenceReply>, Status> {
        self.create_silence(request.into_inner()).await.map(Response::new)
    }

    async fn get_silence(&self, request: Request<v1::GetSilenceRequest>) -> Result<Response<v1::Silence>, Status> {
        self.get_silence(request.into_inner()).await.map(Response::new)
    }

    async fn list_silences(
        &self,
        request: Request<v1::ListSilencesRequest>,
    ) -> Result<Response<v1::ListSilencesResponse>, Status> {
        self.list_silences(request.into_inner()).await.map(Response::new)
    }

    async fn expire_silence(
        &self,
        request: Request<v1::ExpireSilenceRequest>,
    ) -> Result<Response<v1::SilenceReply>, Status> {
        self.expire_silence(request.into_inner()).await.map(Response::new)
    }

    async fn create_maintenance_window(
        &self,
        request: Request<v1::CreateMaintenanceWindowRequest>,
    ) -> Result<Response<v1::MaintenanceWindowReply>, Status> {
        self.create_window(request.into_inner()).await.map(Response::new)
    }

    async fn get_maintenance_window(
        &self,
        request: Request<v1::GetMaintenanceWindowRequest>,
    ) -> Result<Response<v1::MaintenanceWindow>, Status> {
        self.get_window(request.into_inner()).await.map(Response::new)
    }

    async fn list_maintenance_windows(
        &self,
        request: Request<v1::ListMaintenanceWindowsRequest>,
    ) -> Result<Response<v1::ListMaintenanceWindowsResponse>, Status> {
        self.list_windows(request.into_inner()).await.map(Response::new)
    }

    async fn expire_maintenance_window(
        &self,
        request: Request<v1::ExpireMaintenanceWindowRequest>,
    ) -> Result<Response<v1::MaintenanceWindowReply>, Status> {
        self.expire_window(request.into_inner()).await.map(Response::new)
    }

    async fn relate_alerts(
        &self,
        request: Request<v1::RelateAlertsRequest>,
    ) -> Result<Response<v1::CorrectionReply>, Status> {
        self.relate(request.into_inner()).await.map(Response::new)
    }

    async fn list_corrections(
        &self,
        request: Request<v1::ListCorrectionsRequest>,
    ) -> Result<Response<v1::ListCorrectionsResponse>, Status> {
        self.list_corrections(request.into_inner()).await.map(Response::new)
    }

    async fn undo_correction(
        &self,
        request: Request<v1::UndoCorrectionRequest>,
    ) -> Result<Response<v1::CorrectionReply>, Status> {
        self.undo_correction(request.into_inner()).await.map(Response::new)
    }

    async fn get_topology(&self, _: Request<v1::GetTopologyRequest>) -> Result<Response<v1::Topology>, Status> {
        Ok(Response::new(self.topology()))
    }

    async fn apply_topology(
        &self,
        request: Request<v1::ApplyTopologyRequest>,
    ) -> Result<Response<v1::ApplyTopologyResponse>, Status> {
        self.apply(request.into_inner()).await.map(Response::new)
    }

    async fn list_models(&self, _: Request<v1::ListModelsRequest>) -> Result<Response<v1::ListModelsResponse>, Status> {
        Ok(Response::new(self.models()))
    }

    async fn apply_model(&self, request: Request<v1::ApplyModelRequest>) -> Result<Response<v1::Model>, Status> {
        self.apply_model(request.into_inner()).await.map(Response::new)
    }

    async fn restore_model(&self, request: Request<v1::RestoreModelRequest>) -> Result<Response<v1::Model>, Status> {
        self.restore_model(request.into_inner()).await.map(Response::new)
    }

    async fn publish_events(
        &self,
        request: Request<tonic::Streaming<v1::PublishEventsRequest>>,
    ) -> Result<Response<v1::PublishEventsResponse>, Status> {
        self.publish(request.into_inner()).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl Admin for Api {
    async fn settle(&self, _: Request<v1::SettleRequest>) -> Result<Response<v1::SettleResponse>, Status> {
        if self.shared.clock != quell_core::domain::policy::Clock::Events {
            return Err(refused(
                Code::FailedPrecondition,
                "CLOCK_IS_WALL",
                "time is the wall's here: settle is for journals with clock = \"events\"",
            ));
        }
        self.until_ready().await?;
        self.sources_journaled().await?;
        let mut positions = BTreeMap::new();
        for partition in 0..self.shared.partitions {
            let record = wire::bytes(&wire::journal_record(Record::Settle(v1::Settle {})));
            let position = self.shared.log.append(Topic::Journal, partition, record).await.map_err(unavailable)?;
            positions.insert(partition, position);
        }
        let position = encode_position(&positions);
        self.await_position(&position).await?;
        Ok(Response::new(v1::SettleResponse { position }))
    }
}
