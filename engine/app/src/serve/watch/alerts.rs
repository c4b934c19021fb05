//! `WatchAlerts`.
use super::Watched;
use crate::{
    serve::{filter::Filter, grpc::Api, names},
    views::ShownAlert,
};
use prost::Message as _;
use quell_core::domain::alert::{Alert, AlertId};
use quell_proto::v1::{self, WatchAlertsResponse};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::broadcast;
use tonic::Status;
use xxhash_rust::xxh3::xxh3_64;

/// Alerts of one scope or all, of those that pass.
pub struct Alerts {
    scope: Option<String>,
    passes: Filter<ShownAlert>,
}

impl Alerts {
    /// Those of a parent that pass a filter.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a parent that is none, or what is wrong with the filter.
    pub fn of(request: &v1::WatchAlertsRequest) -> Result<Self, Status> {
        let prefix = names::prefix(&request.parent)?;
        let scope = prefix.strip_prefix("scopes/").map(|scope| scope.trim_end_matches('/').to_owned());
        Ok(Self { scope, passes: Filter::parse(&request.filter)? })
    }
}

impl Watched for Alerts {
    type Key = AlertId;
    type Response = WatchAlertsResponse;
    /// Its scope, and a hash of all of it: the alert itself would keep the engine from changing its own in place.
    type Sent = (Arc<str>, u64);

    fn changes(api: &Api) -> broadcast::Receiver<AlertId> {
        api.views.alert_changes.subscribe()
    }

    fn keys(api: &Api) -> BTreeSet<AlertId> {
        api.views.alerts.iter().map(|entry| *entry.key()).collect()
    }

    fn find(&self, api: &Api, id: &AlertId, snapshot: bool) -> Option<(WatchAlertsResponse, (Arc<str>, u64))> {
        let is_asked_for = |alert: &ShownAlert| {
            self.scope.as_ref().is_none_or(|scope| **scope == *alert.scope) && self.passes.matches(alert)
        };
        let shown = api.views.alert(*id).filter(is_asked_for)?;
        let alert = shown.message();
        let sent = (shown.scope.clone(), xxh3_64(&alert.encode_to_vec()));
        Some((WatchAlertsResponse { alert: Some(alert), snapshot, gone: false }, sent))
    }

    fn gone(id: &AlertId, (scope, _): (Arc<str>, u64)) -> Option<WatchAlertsResponse> {
        let alert = v1::Alert { name: Alert::name(&scope, *id), ..Default::default() };
        Some(WatchAlertsResponse { alert: Some(alert), snapshot: false, gone: true })
    }
}
