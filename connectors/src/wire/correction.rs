//! What people said of which alerts belong together.
use super::time;
use quell_core::{
    domain::correction::{Correction, Deed, Party, Relation},
    output::CorrectionUpdate,
};
use quell_proto::v1::{self, correction};

/// A correction of the API.
pub fn correction(update: &CorrectionUpdate) -> v1::Correction {
    let CorrectionUpdate { scope, correction } = update;
    let [one, other] = &correction.sides;
    v1::Correction {
        name: Correction::name(scope, correction.id),
        relation: relation(correction.relation) as i32,
        deed: deed(correction.deed) as i32,
        one: one.iter().map(subject).collect(),
        other: other.iter().map(subject).collect(),
        actor: correction.actor.to_string(),
        comment: correction.comment.to_string(),
        created_at: Some(time(correction.at)),
        expires_at: Some(time(correction.expires_at)),
    }
}

fn subject(party: &Party) -> v1::CorrectionSubject {
    v1::CorrectionSubject {
        entity: party.entity.to_string(),
        check: party.check.to_string(),
        service: party.service.to_string(),
    }
}

/// A relation of the API.
pub const fn relation(relation: Relation) -> correction::Relation {
    match relation {
        Relation::Together => correction::Relation::SameCause,
        Relation::Apart => correction::Relation::NotRelated,
    }
}

/// A relation of the API, read back; `None` where it is unspecified.
pub const fn relation_back(relation: correction::Relation) -> Option<Relation> {
    match relation {
        correction::Relation::Unspecified => None,
        correction::Relation::SameCause => Some(Relation::Together),
        correction::Relation::NotRelated => Some(Relation::Apart),
    }
}

const fn deed(deed: Deed) -> correction::Deed {
    match deed {
        Deed::Merge => correction::Deed::Merged,
        Deed::Split => correction::Deed::Split,
        Deed::Move => correction::Deed::Moved,
        Deed::Said => correction::Deed::Said,
    }
}
