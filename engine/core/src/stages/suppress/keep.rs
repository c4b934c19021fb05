//! What people asked for: taken in, ended, and forgotten a while later.
use super::{Suppressor, key_of};
use crate::{
    domain::{
        command::{Code, Refusal},
        maintenance::Maintenance,
        schedule::{Occurrence, Schedule},
        silence::Silence,
        time::Timestamp,
    },
    output::Body,
    scope::Cx,
    timers::TimerKind,
};
use std::sync::Arc;

/// Why a silence or a window is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it would match an alert without any of the values it names; insist on it if all is meant")]
    MatchesAll,
    #[error("`{0}` is there already")]
    Exists(Arc<str>),
    #[error("it ends before it starts, or has ended")]
    Over,
    #[error("there are {0} already, and none of them is over")]
    Limit(usize),
    #[error("there is no `{0}` that could end")]
    Unknown(Arc<str>),
    #[error("`{0}` is of the configuration: it ends when it is taken out there")]
    Configured(Arc<str>),
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::MatchesAll | Refused::Over => Code::InvalidArgument,
            Refused::Exists(_) => Code::AlreadyExists,
            Refused::Limit(_) => Code::ResourceExhausted,
            Refused::Unknown(_) => Code::NotFound,
            Refused::Configured(_) => Code::FailedPrecondition,
        };
        Self::new(code, refused.to_string())
    }
}

impl Suppressor {
    /// A silence.
    pub fn silence(&self, id: &str) -> Option<&Silence> {
        self.silences.get(&key_of("silence", id))
    }

    /// A window that was asked for.
    pub fn window(&self, id: &str) -> Option<&Maintenance> {
        self.windows.get(&key_of("maintenance", id))
    }

    /// Takes in a silence. Open alerts are still to be judged.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn add_silence(&mut self, silence: Silence, force: bool, cx: &mut Cx<'_>) -> Result<(), Refused> {
        if silence.ends_at <= silence.starts_at.max(cx.core.clock) {
            return Err(Refused::Over);
        }
        if !force && silence.matchers.match_nothing_named() {
            return Err(Refused::MatchesAll);
        }
        let key = key_of("silence", &silence.id);
        if self.silences.contains_key(&key) {
            return Err(Refused::Exists(silence.id));
        }
        let max = cx.policy.limits.silences;
        if self.silences.len() >= max {
            let over = self.silences.iter().map(|(key, silence)| (silence.ends_at, *key));
            let Some((_, victim)) = over.min().filter(|(ends_at, _)| *ends_at <= cx.core.clock) else {
                cx.core.evicted.silences += 1;
                return Err(Refused::Limit(max));
            };
            self.remove(victim, cx);
        }
        cx.set(TimerKind::ForgetSuppressor, key.into(), silence.ends_at);
        self.index.silences.insert(key, &silence.matchers);
        self.silences.insert(key, silence);
        Ok(())
    }

    /// Takes in a window. Open alerts are still to be judged.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn add_window(&mut self, window: Maintenance, cx: &mut Cx<'_>) -> Result<(), Refused> {
        let ends_at = window.schedule.ends_at();
        if ends_at.is_some_and(|at| at <= cx.core.clock) || window.schedule.is_empty() {
            return Err(Refused::Over);
        }
        let key = key_of("maintenance", &window.id);
        if self.windows.contains_key(&key) || cx.policy.maintenance.iter().any(|known| known.id == window.id) {
            return Err(Refused::Exists(window.id));
        }
        let max = cx.policy.limits.maintenance_windows;
        if self.windows.len() >= max {
            let over = self.windows.iter().filter_map(|(key, window)| Some((window.schedule.ends_at()?, *key)));
            let Some((_, victim)) = over.min().filter(|(ends_at, _)| *ends_at <= cx.core.clock) else {
                cx.core.evicted.maintenance_windows += 1;
                return Err(Refused::Limit(max));
            };
            self.remove(victim, cx);
        }
        if let Some(ends_at) = ends_at {
            cx.set(TimerKind::ForgetSuppressor, key.into(), ends_at);
        }
        self.index.windows.insert_target(key, &window.what);
        self.windows.insert(key, window);
        Ok(())
    }

    /// A silence ends at `at`. The alerts that it hides are still to be judged.
    ///
    /// # Errors
    /// Where there is none, or it is over.
    pub fn end_silence(&mut self, id: &str, at: Timestamp, cx: &mut Cx<'_>) -> Result<(), Refused> {
        let key = key_of("silence", id);
        let silence = self.silences.get_mut(&key).filter(|silence| silence.ends_at > at);
        let silence = silence.ok_or_else(|| Refused::Unknown(id.into()))?;
        silence.ends_at = at;
        silence.starts_at = silence.starts_at.min(at);
        cx.set(TimerKind::ForgetSuppressor, key.into(), at);
        Ok(())
    }

    /// A window ends at `at`, and does not come again; what it has hidden until then stays so. The alerts that it hides
    /// are still to be judged.
    ///
    /// # Errors
    /// Where there is none, or it is over.
    pub fn end_window(&mut self, id: &str, at: Timestamp, cx: &mut Cx<'_>) -> Result<(), Refused> {
        if cx.policy.maintenance.iter().any(|known| *known.id == *id) {
            return Err(Refused::Configured(id.into()));
        }
        let key = key_of("maintenance", id);
        let window = self.windows.get_mut(&key).filter(|window| window.schedule.ends_at().is_none_or(|end| end > at));
        let window = window.ok_or_else(|| Refused::Unknown(id.into()))?;
        let open = window.schedule.covering(at).map_or(at, |open| open.start);
        window.schedule = Schedule::Once(Occurrence { start: open.min(at), end: at });
        cx.set(TimerKind::ForgetSuppressor, key.into(), at);
        Ok(())
    }

    /// One is over: from the watermark on it hides nothing, and a while later it is not kept.
    pub fn on_forget(&mut self, key: u64, due: Timestamp, cx: &mut Cx<'_>) {
        let silence = self.silences.get(&key).map(|silence| silence.ends_at);
        let Some(ends_at) = silence.or_else(|| self.windows.get(&key)?.schedule.ends_at()) else { return };
        let keep = cx.policy.suppress.keep;
        if ends_at + keep <= due {
            return self.remove(key, cx);
        }
        self.index.silences.remove(key);
        self.index.windows.remove(key);
        cx.set(TimerKind::ForgetSuppressor, key.into(), ends_at + keep);
    }

    fn remove(&mut self, key: u64, cx: &mut Cx<'_>) {
        self.index.silences.remove(key);
        self.index.windows.remove(key);
        let scope = cx.core.name.clone();
        let silence = self.silences.remove(&key).map(|silence| Silence::name(&scope, &silence.id));
        let window = self.windows.remove(&key).map(|window| Maintenance::name(&scope, &window.id));
        if let Some(name) = silence.or(window) {
            cx.out.say(Body::SuppressorGone { scope, name });
        }
        cx.core.timers.cancel(TimerKind::ForgetSuppressor, key.into());
    }
}
