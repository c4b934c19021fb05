//! The names of an event's fields.

/// A field of the canonical event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Id,
    Time,
    Origin,
    Entity,
    Check,
    Status,
    Severity,
    Summary,
    Labels,
    Value,
    Service,
    Scope,
    Fingerprint,
    Identity,
    Kind,
    StartedAt,
    EndedAt,
}

impl Field {
    /// The field of this name. A match, since the compiler makes it one comparison for most names.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "time" => Self::Time,
            "origin" => Self::Origin,
            "entity" => Self::Entity,
            "check" => Self::Check,
            "status" => Self::Status,
            "severity" => Self::Severity,
            "summary" => Self::Summary,
            "labels" => Self::Labels,
            "value" => Self::Value,
            "service" => Self::Service,
            "scope" => Self::Scope,
            "fingerprint" => Self::Fingerprint,
            "identity" => Self::Identity,
            "kind" => Self::Kind,
            "started_at" => Self::StartedAt,
            "ended_at" => Self::EndedAt,
            _ => return None,
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// All names, in the order of the fields.
    pub const NAMES: [&'static str; 17] = [
        "id",
        "time",
        "origin",
        "entity",
        "check",
        "status",
        "severity",
        "summary",
        "labels",
        "value",
        "service",
        "scope",
        "fingerprint",
        "identity",
        "kind",
        "started_at",
        "ended_at",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_fields() {
        for name in Field::NAMES {
            assert_eq!(Field::named(name).map(Field::name), Some(name));
        }
        assert_eq!(Field::named("Entity"), None);
    }
}
