//! What people say of which alerts belong together: asked for by commands, read from the views.
use super::{
    commands::{Asked, COMMENT_MAX, at_most, cleaned},
    errors::{invalid, refused},
    grpc::{Api, Listing},
    names,
    suppression::scope_of,
};
use quell_connectors::wire;
use quell_core::domain::{
    alert::AlertId,
    command::{About, Action, Relating},
    correction::CorrectionId,
    incident::IncidentId,
};
use quell_proto::v1;
use tonic::{Code, Status};

impl Api {
    pub(super) async fn relate(&self, request: v1::RelateAlertsRequest) -> Result<v1::CorrectionReply, Status> {
        let scope = scope_of(&request.parent)?;
        let relation = wire::correction::relation_back(request.relation());
        let relation = relation.ok_or_else(|| invalid("relation", "SAME_CAUSE or NOT_RELATED"))?;
        let of = [about("one", &request.one, scope)?, about("other", &request.other, scope)?];
        at_most("comment", &request.comment, COMMENT_MAX)?;
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let relating = Relating { of, relation, comment: cleaned(request.comment) };
        let done = self.ask(scope, asked, Action::Relate(relating)).await?;
        Ok(v1::CorrectionReply { correction: self.correction(&done.name), position: done.position })
    }

    pub(super) async fn undo_correction(
        &self,
        request: v1::UndoCorrectionRequest,
    ) -> Result<v1::CorrectionReply, Status> {
        let (scope, id) = names::parse_id("name", &request.name, "corrections")?;
        let correction = self.correction(&request.name);
        let asked = Asked { request_id: request.request_id, actor: request.actor };
        let done = self.ask(scope, asked, Action::UndoCorrection(CorrectionId(id))).await?;
        Ok(v1::CorrectionReply { correction, position: done.position })
    }

    pub(super) async fn list_corrections(
        &self,
        request: v1::ListCorrectionsRequest,
    ) -> Result<v1::ListCorrectionsResponse, Status> {
        let v1::ListCorrectionsRequest { parent, page_size, page_token, filter, min_position } = request;
        let asked = Listing::new(&parent, (page_size, &page_token), &filter, &min_position);
        let all = || self.views.corrections.iter().map(|entry| v1::Correction::clone(entry.value()));
        let (corrections, next_page_token) = self.list(all, Clone::clone, asked).await?;
        Ok(v1::ListCorrectionsResponse { corrections, next_page_token })
    }

    fn correction(&self, name: &str) -> Option<v1::Correction> {
        self.views.corrections.get(name).map(|entry| v1::Correction::clone(&entry))
    }
}

/// An alert or an incident of a scope.
fn about(field: &str, name: &str, scope: &str) -> Result<About, Status> {
    let is_incident = name.split('/').nth(2) == Some("incidents");
    let (of, id) = names::parse_id(field, name, if is_incident { "incidents" } else { "alerts" })?;
    if of != scope {
        let message = format!("{field}: {name} is of another scope than `parent`");
        return Err(refused(Code::FailedPrecondition, "SCOPES_DIFFER", message));
    }
    Ok(if is_incident { About::Incident(IncidentId(id)) } else { About::Alert(AlertId(id)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_kinds_of_names_are_taken_of_one_scope() {
        let at = |name: &str| about("one", name, "eu").ok();
        assert_eq!(at("scopes/eu/alerts/00000000000000ff"), Some(About::Alert(AlertId(255))));
        assert_eq!(at("scopes/eu/incidents/00000000000000ff"), Some(About::Incident(IncidentId(255))));
        for bad in
            ["", "scopes/us/alerts/00000000000000ff", "scopes/eu/services/00000000000000ff", "scopes/eu/alerts/ff"]
        {
            assert_eq!(at(bad), None, "{bad}");
        }
    }
}
