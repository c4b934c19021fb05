//! `WatchServices`.
use super::Watched;
use crate::serve::{grpc::Api, names};
use quell_proto::v1::{self, WatchServicesResponse};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::broadcast;
use tonic::Status;

/// Services of one scope, or all.
#[derive(Debug)]
pub struct Services {
    prefix: String,
}

impl Services {
    /// Those of a parent.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a parent that is none.
    pub fn of(request: &v1::WatchServicesRequest) -> Result<Self, Status> {
        Ok(Self { prefix: names::prefix(&request.parent)? })
    }
}

impl Watched for Services {
    type Key = Arc<str>;
    type Response = WatchServicesResponse;
    type Sent = Arc<v1::Service>;

    fn changes(api: &Api) -> broadcast::Receiver<Arc<str>> {
        api.views.service_changes.subscribe()
    }

    fn keys(api: &Api) -> BTreeSet<Arc<str>> {
        api.views.services.iter().map(|entry| entry.key().as_str().into()).collect()
    }

    fn find(&self, api: &Api, name: &Arc<str>, snapshot: bool) -> Option<(WatchServicesResponse, Arc<v1::Service>)> {
        let now = api.views.services.get(&**name).map(|entry| entry.value().clone());
        let now = now.filter(|_| name.starts_with(&self.prefix))?;
        let service = Some(v1::Service::clone(&now));
        Some((WatchServicesResponse { service, snapshot }, now))
    }

    /// Services stay.
    fn gone(_: &Arc<str>, _: Arc<v1::Service>) -> Option<WatchServicesResponse> {
        None
    }
}
