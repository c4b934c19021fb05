//! The words that tools use for severities and states, without regard to case and to blanks around them.
use quell_core::domain::{
    event::{Kind, Status},
    severity::Severity,
};

/// The longest word known, in bytes.
const WORD_BYTES_MAX: usize = 16;

/// What a tool's word means; `None` for one that is not known. Words of syslog (RFC 5424), Nagios, Zabbix, PagerDuty
/// and Prometheus rules.
pub fn severity(word: &str) -> Option<Severity> {
    Some(match lower(word, &mut [0; WORD_BYTES_MAX])? {
        b"critical" | b"crit" | b"emergency" | b"emerg" | b"alert" | b"fatal" | b"panic" | b"disaster" | b"page" => {
            Severity::Critical
        }
        b"major" | b"high" | b"error" | b"err" | b"severe" => Severity::Major,
        b"minor" | b"average" | b"medium" | b"moderate" => Severity::Minor,
        b"warning" | b"warn" | b"low" => Severity::Warning,
        b"info" | b"information" | b"informational" | b"notice" | b"debug" | b"trace" | b"ok" | b"normal" | b"none" => {
            Severity::Info
        }
        _ => return None,
    })
}

/// Whether a tool's word says that a condition holds or that it has ended; `None` for a word that is not known, since
/// a guess would either hide a problem or never end one.
pub fn status(word: &str) -> Option<Status> {
    Some(match lower(word, &mut [0; WORD_BYTES_MAX])? {
        b"firing" | b"problem" | b"active" | b"open" | b"triggered" | b"alerting" | b"down" => Status::Firing,
        b"resolved" | b"ok" | b"clear" | b"cleared" | b"up" | b"recovered" | b"recovery" | b"closed" | b"inactive"
        | b"normal" => Status::Resolved,
        _ => return None,
    })
}

/// `alert`, `sample`, `log` or `change`.
pub fn kind(word: &str) -> Option<Kind> {
    Some(match lower(word, &mut [0; WORD_BYTES_MAX])? {
        b"alert" => Kind::Alert,
        b"sample" => Kind::Sample,
        b"log" => Kind::Log,
        b"change" => Kind::Change,
        _ => return None,
    })
}

/// The word in lower case, in `room`: a lookup for each event must not allocate.
fn lower<'r>(word: &str, room: &'r mut [u8; WORD_BYTES_MAX]) -> Option<&'r [u8]> {
    let word = word.trim_ascii().as_bytes();
    let room = room.get_mut(..word.len())?;
    room.copy_from_slice(word);
    room.make_ascii_lowercase();
    Some(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_blanks_do_not_matter() {
        assert_eq!(severity(" CritiCal\t"), Some(Severity::Critical));
        assert_eq!(severity("Err"), Some(Severity::Major));
        assert_eq!(severity("informational"), Some(Severity::Info));
        assert_eq!(status("OK "), Some(Status::Resolved));
        assert_eq!(kind("Change"), Some(Kind::Change));
    }

    #[test]
    fn a_word_that_is_not_known_is_not_guessed() {
        for word in ["", " ", "p1", "critical!", "a word longer than all that are known", "критично"] {
            assert_eq!((severity(word), status(word), kind(word)), (None, None, None), "{word}");
        }
    }

    #[test]
    fn every_name_of_ours_is_known() {
        for ours in [Severity::Info, Severity::Warning, Severity::Minor, Severity::Major, Severity::Critical] {
            assert_eq!(severity(ours.name()), Some(ours));
        }
    }
}
