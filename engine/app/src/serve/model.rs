//! What was learned, over the API: set over the configuration through control (design rule 9), every version kept.
use super::{
    errors::{invalid, not_found, refused, unavailable},
    grpc::Api,
    topology::ADOPTED_MAX,
};
use crate::model::Model;
use quell_proto::v1;
use tonic::{Code, Status};

/// Versions that are listed, the latest.
const LISTED_MAX: usize = 100;

impl Api {
    pub(super) fn models(&self) -> v1::ListModelsResponse {
        let contents = self.shared.control.latest();
        let all = contents.models();
        let latest = all.len() as u64;
        let listed = (1..).zip(all).skip(all.len().saturating_sub(LISTED_MAX));
        let model = |(version, json): (u64, &std::sync::Arc<str>)| v1::Model {
            version,
            json: json.to_string(),
            active: version == latest,
        };
        v1::ListModelsResponse { models: listed.map(model).collect() }
    }

    /// Sets a model over the configuration; answered when what comes is correlated by it.
    pub(super) async fn apply_model(&self, request: v1::ApplyModelRequest) -> Result<v1::Model, Status> {
        let json = request.model.unwrap_or_default().json;
        let model = Model::read(&json).map_err(|error| invalid("model.json", format!("{error:#}")))?;
        self.set_model(Some(&model)).await
    }

    /// A version holds again, as a new one.
    pub(super) async fn restore_model(&self, request: v1::RestoreModelRequest) -> Result<v1::Model, Status> {
        let contents = self.shared.control.latest();
        let Some(place) = request.version.checked_sub(1) else { return self.set_model(None).await };
        let json = usize::try_from(place).ok().and_then(|place| contents.models().get(place));
        let json = json.ok_or_else(|| not_found("model", &request.version.to_string()))?;
        if json.is_empty() {
            return self.set_model(None).await;
        }
        let model = Model::read(json).map_err(|error| unavailable(format!("{error:#}")))?;
        self.set_model(Some(&model)).await
    }

    async fn set_model(&self, model: Option<&Model>) -> Result<v1::Model, Status> {
        let (version, policy) = self.shared.control.apply_model(model).await.map_err(unavailable)?;
        let timely = tokio::time::timeout(ADOPTED_MAX, self.shared.progress.wait_policy(policy)).await;
        timely.map_err(|_| {
            let message = format!("the model is applied as version {version}, and not every partition goes by it yet");
            refused(Code::DeadlineExceeded, "NOT_ADOPTED", message)
        })?;
        Ok(v1::Model { version, json: model.map(Model::json).unwrap_or_default(), active: true })
    }
}
