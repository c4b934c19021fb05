//! Which of several peers leaves the others: hosts of one tier, replicas of one service, which see the same load.
//!
//! A *round* is one pass of the peers. At its end, of the numbers `v_i` that members gave, each the deviation from its own usual, and of what each
//! is usually off its peers, `c_i`:
//!
//! ```text
//! M   = median (v_j − c_j)                              where the peers are now
//! e_i = v_i − c_i − M                                   how far from them, against what is usual for it
//! d_i = min(|e_i| / max(σ_i, 1.4826 · median |e_j|, 0.15), 12)
//! q_i = q_i + (d_i − q_i) / 10                          its distance, in spreads
//! ```
//!
//! What is not far but lasts (a replica that serves nothing is four deviations off) is seen by the mean `s_i` of `e_i / max(σ_i, …)`, clipped at 3 (and of 0.5 at least), over the same ten rounds: it
//! counts as `|s_i| / 2.75 τ_i` spreads, `τ_i` its own deviation (0.23 at least, that of white noise). The larger of both is the distance. With
//! `c_i`, `σ_i²` and `τ_i²` learned slowly (memory 2,000 rounds) from `e_i` clipped at 2 spreads (Huber's ψ, 1964). A member leaves where its distance is at
//! the threshold and is back below half of it. The idea is that of "entity cohesion" in Splunk ITSI (series normalised by median and
//! noise; who departs in pattern from the others is scored); median and its absolute deviation are Hampel's identifier (1974).
//!
//! What all do moves `M` and no distance. `1.4826 · median |e_j|` is a deviation of Gaussian noise, so where peers react differently to what hits all, the unit
//! grows for all. What breaks down: the median follows the larger half. With half of them elsewhere the unit is as large as the way between the halves,
//! and none is far; below that the smaller part would be, so nobody leaves while more than a third is at the threshold, in this round or lastingly: who is with whom can't be told then.
//!
//! A member that gives nothing is not looked at and none of the peers of that round; one that is new is, but is not scored in its first 30 rounds. The time of
//! a number is O(log n) and amortised O(1) for its round.
//!
//! ```
//! use quell_models::cohesion::{Cohesion, Distance, Given};
//!
//! // Five replicas; from minute 100 on the third is nine spreads off.
//! let (mut replicas, mut left) = (Cohesion::default(), Vec::new());
//! for minute in 0..200_i64 {
//!     for replica in 0..5_u128 {
//!         let noise = ((minute * 31 + replica as i64 * 17) % 13) as f64 / 6.0 - 1.0;
//!         let deviation = noise + if replica == 2 && minute >= 100 { 9.0 } else { 0.0 };
//!         let given = Given { seconds: 60 * minute, deviation, shown: deviation, teaches: true };
//!         left.extend(replicas.take(replica, given, Distance::of(4.0)));
//!     }
//! }
//! assert!(matches!(left[..], [turn] if turn.key == 2 && turn.apart), "{left:?}");
//! assert!(replicas.beside(2).is_some_and(|beside| beside.peers == 4 && beside.own > beside.theirs.1));
//! ```
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Fewer are no group: one of three is no minority that could be told.
pub const MEMBERS_MIN: usize = 4;
/// More are not taken. Who comes then takes the place of the one that has been silent for longest, if that is so for
/// [`GONE_ROUNDS`]; else it is left out.
pub const MEMBERS_MAX: usize = 1_000;
/// Who gave nothing for so many rounds is gone, as far as its place is concerned.
pub const GONE_ROUNDS: u32 = 60;
/// Rounds that a distance remembers.
const MEMORY: f64 = 10.0;
/// Rounds that what is usual remembers, and those that it does as soon as a member is scored: a young one would take what it is for usual.
const USUAL: f64 = 2_000.0;
const USUAL_MIN: f64 = 300.0;
/// Rounds of a member before it is scored.
const WARM_UP: u32 = 30;
/// Farther is as far.
const FAR: f64 = 12.0;
/// What is learned is clipped at so many spreads.
const CLIP: f64 = 2.0;
/// A smaller spread is taken for it, in what the numbers are in: of quiet peers a trifle would be far.
const SPREAD_MIN: f64 = 0.15;
/// What lasts is the mean of what is clipped at so many spreads, and a spread of distance is so many of its deviations; a smaller deviation is taken for it.
const LASTING_CLIP: f64 = 3.0;
const LASTING: f64 = 2.75;
const WANDER_MIN: f64 = 0.23;
/// Of quiet peers a trifle may last.
const LASTING_SPREAD_MIN: f64 = 0.5;
/// Of Gaussian noise, the deviation by the median absolute one.
const GAUSSIAN: f64 = 1.482_6;
/// Of the members of a round at most one in so many may be far, or none leaves.
const TOGETHER: usize = 3;
/// A round in which many were not heard ends after so many of the usual gap.
const ROUND_GAPS: f64 = 2.0;
/// The usual gap follows the gaps of members by a share of this.
const GAP_MEMORY: f64 = 100.0;
/// Larger numbers are taken for it.
const NUMBER_MAX: f64 = 1e6;

/// A distance in hundredths of a spread: rounded before it is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Distance(pub u16);

impl Distance {
    /// Of so many spreads; what is no number is none.
    pub fn of(spreads: f64) -> Self {
        Self((spreads * 100.0 + 0.5) as u16)
    }

    /// In spreads.
    pub fn spreads(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// What a member gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Given {
    /// Seconds, from anywhere.
    pub seconds: i64,
    /// Deviation from its own usual, in spreads; what is no number is not taken.
    pub deviation: f64,
    /// What people are shown for it.
    pub shown: f64,
    /// What is usual of it is learned from it.
    pub teaches: bool,
}

/// A member has left, or is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The member.
    pub key: u128,
    /// It has left; else it is back.
    pub apart: bool,
}

/// A member beside its peers, in what people are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beside {
    /// The other members of the latest round,
    pub peers: usize,
    /// of all of which eight in ten lie between these.
    pub theirs: (f64, f64),
    /// What the member itself gave last.
    pub own: f64,
    /// How far it is from the others, smoothed.
    pub distance: Distance,
    /// The same of its last round alone.
    pub now: Distance,
}

/// Where a member stands beside its peers as a rule, as far as that was learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    off: f64,
    variance: f64,
    rounds: u32,
}

/// 112 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Member {
    key: u128,
    given: f64,
    shown: f64,
    /// What it is usually off its peers, and the variance of that.
    off: f64,
    variance: f64,
    distance: f64,
    /// That of its last round alone.
    now: f64,
    /// The mean of what it is off, in spreads and with its sign, and the variance of that.
    lasting: f64,
    wander: f64,
    at: i64,
    /// The last round it gave something in, and how many.
    round: u32,
    rounds: u32,
    teaches: bool,
    apart: bool,
}

/// Peers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Cohesion {
    /// By key.
    members: Vec<Member>,
    /// Places of those that gave something in this round.
    spoken: Vec<u32>,
    round: u32,
    begin: i64,
    /// Usual seconds between what a member gives, and how many were seen.
    gap: f64,
    gaps: f64,
    /// Eight in ten of the latest round lie between these; `None` where fewer than [`MEMBERS_MIN`] were.
    range: Option<(f64, f64)>,
    peers: usize,
}

impl Serialize for Cohesion {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Cohesion {
    /// Nothing of what is read is sure.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = Self::deserialize(from)?;
        let Self { members, spoken, .. } = &read;
        if members.len() > MEMBERS_MAX || !members.is_sorted_by(|a, b| a.key < b.key) {
            return Err(D::Error::custom("peers are at most 1,000, each once, by key"));
        }
        if spoken.len() > members.len() || spoken.iter().any(|place| *place as usize >= members.len()) {
            return Err(D::Error::custom("one that is no member gave something to a round of peers"));
        }
        Ok(read)
    }
}

impl Cohesion {
    /// A member gives a number, no earlier than its last. Who turned by a round that ended before it, with the threshold `leaves_at`.
    pub fn take(&mut self, key: u128, given: Given, leaves_at: Distance) -> Vec<Turn> {
        if !(given.deviation.is_finite() && given.shown.is_finite()) {
            return Vec::new();
        }
        let known = self.place_of(key, given.seconds);
        let Some(place) = known else { return Vec::new() };
        let gap = given.seconds.saturating_sub(self.members[place].at) as f64;
        let spoke = self.members[place].round == self.round;
        let most = 2 * self.spoken.len() > self.members.len();
        let passed = given.seconds.saturating_sub(self.begin) as f64;
        let turns = if spoke && (most || passed >= ROUND_GAPS * self.gap) {
            self.end_round(given.seconds, leaves_at)
        } else {
            Vec::new()
        };
        let member = &mut self.members[place];
        if gap > 0.0 {
            // One that was away says nothing of the pace.
            let longest = if self.gaps > 0.0 { ROUND_GAPS * self.gap } else { gap };
            self.gaps = (self.gaps + 1.0).min(GAP_MEMORY);
            self.gap += (gap.min(longest) - self.gap) / self.gaps;
        }
        if member.round != self.round {
            member.round = self.round;
            self.spoken.push(place as u32);
        }
        let limited = given.deviation.clamp(-NUMBER_MAX, NUMBER_MAX);
        (member.given, member.shown, member.teaches, member.at) = (limited, given.shown, given.teaches, given.seconds);
        turns
    }

    /// The place of a member, a new one too; `None` where there is none left.
    fn place_of(&mut self, key: u128, seconds: i64) -> Option<usize> {
        let mut place = match self.find(key) {
            Ok(place) => return Some(place),
            Err(place) => place,
        };
        if self.members.len() >= MEMBERS_MAX {
            let silent = |member: &&Member| (self.round.wrapping_sub(member.round), std::cmp::Reverse(member.key));
            let longest = self.members.iter().max_by_key(silent).copied()?;
            // What was told of one that has left is told to its end first.
            if longest.apart || self.round.wrapping_sub(longest.round) < GONE_ROUNDS {
                return None;
            }
            self.leave(longest.key);
            place = self.find(key).unwrap_or_else(|place| place);
        }
        if self.members.is_empty() {
            (self.begin, self.round) = (seconds, 1);
        }
        self.spoken.iter_mut().filter(|n| **n as usize >= place).for_each(|n| *n += 1);
        let member = Member {
            key,
            given: 0.0,
            shown: 0.0,
            off: 0.0,
            variance: 0.0,
            distance: 0.0,
            now: 0.0,
            lasting: 0.0,
            wander: 0.0,
            at: seconds,
            round: self.round.wrapping_sub(1),
            rounds: 0,
            teaches: false,
            apart: false,
        };
        self.members.insert(place, member);
        Some(place)
    }

    /// Its place, or where that would be.
    fn find(&self, key: u128) -> Result<usize, usize> {
        self.members.binary_search_by(|member| member.key.cmp(&key))
    }

    /// It is a member no more.
    pub fn leave(&mut self, key: u128) {
        let Ok(place) = self.find(key) else { return };
        self.members.remove(place);
        self.spoken.retain(|n| *n as usize != place);
        self.spoken.iter_mut().filter(|n| **n as usize > place).for_each(|n| *n -= 1);
    }

    /// Where it stands now is usual for it.
    pub fn accept(&mut self, key: u128) {
        let Ok(place) = self.find(key) else { return };
        let member = &mut self.members[place];
        // Its next round says where that is.
        (member.distance, member.now, member.apart, member.rounds, member.off) = (0.0, 0.0, false, 0, 0.0);
        member.lasting = 0.0;
    }

    /// Where a member stands as a rule, to be [put back](Self::restore).
    pub fn standing(&self, key: u128) -> Option<Standing> {
        let Member { off, variance, rounds, .. } = self.members[self.find(key).ok()?];
        Some(Standing { off, variance, rounds })
    }

    /// Where a member stood is usual again; how far it is from the others then, its next rounds say.
    pub fn restore(&mut self, key: u128, Standing { off, variance, rounds }: Standing) {
        let Ok(place) = self.find(key) else { return };
        let member = &mut self.members[place];
        (member.off, member.variance, member.rounds, member.distance, member.now) = (off, variance, rounds, 0.0, 0.0);
    }

    /// None is a member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A member beside those of the latest round.
    pub fn beside(&self, key: u128) -> Option<Beside> {
        let member = &self.members[self.find(key).ok()?];
        let (distance, now) = (member.far(), Distance::of(member.now));
        Some(Beside { peers: self.peers.saturating_sub(1), theirs: self.range?, own: member.shown, distance, now })
    }

    fn end_round(&mut self, seconds: i64, leaves_at: Distance) -> Vec<Turn> {
        let spoken = std::mem::take(&mut self.spoken);
        (self.round, self.begin) = (self.round.wrapping_add(1), seconds);
        let mut turns = Vec::new();
        if spoken.len() >= MEMBERS_MIN {
            self.measure(&spoken);
            self.turn(&spoken, leaves_at, &mut turns);
        }
        self.spoken = spoken;
        self.spoken.clear();
        turns
    }

    /// How far each member of a round is from the others, and what is learned of it.
    fn measure(&mut self, spoken: &[u32]) {
        let mut all: Vec<f64> = self.each(spoken).map(|member| member.given - member.off).collect();
        let centre = quantile(&mut all, 0.5);
        all.iter_mut().for_each(|value| *value = (*value - centre).abs());
        let spread = (GAUSSIAN * quantile(&mut all, 0.5)).max(SPREAD_MIN);
        for place in spoken {
            let member = &mut self.members[*place as usize];
            let own = member.given - member.off - centre;
            let unit = member.variance.sqrt().max(spread);
            if member.rounds >= WARM_UP {
                member.now = (own.abs() / unit).min(FAR);
                member.distance += (member.now - member.distance) / MEMORY;
                let clipped = (own / unit.max(LASTING_SPREAD_MIN)).clamp(-LASTING_CLIP, LASTING_CLIP);
                member.lasting += (clipped - member.lasting) / MEMORY;
            }
            // One that has left teaches nothing, until that is accepted.
            if member.teaches && !member.apart {
                member.learn(own, unit);
            }
        }
        let mut all: Vec<f64> = self.each(spoken).map(|member| member.shown).collect();
        self.range = Some((quantile(&mut all, 0.1), quantile(&mut all, 0.9)));
        self.peers = spoken.len();
    }

    fn each<'a>(&'a self, spoken: &'a [u32]) -> impl Iterator<Item = &'a Member> {
        spoken.iter().map(|place| &self.members[*place as usize])
    }

    fn turn(&mut self, spoken: &[u32], leaves_at: Distance, turns: &mut Vec<Turn>) {
        let is_far = |member: &&Member| {
            // Those that move together get there one after the other.
            Distance::of(member.now.max(member.distance)) >= leaves_at || member.lasting().0 >= leaves_at.0 / 2
        };
        let far = self.each(spoken).filter(is_far).count();
        let together = far * TOGETHER <= spoken.len();
        for place in spoken {
            let member = &mut self.members[*place as usize];
            let distance = member.far();
            let apart = if member.apart { distance.0 >= leaves_at.0 / 2 } else { together && distance >= leaves_at };
            if apart != member.apart {
                member.apart = apart;
                turns.push(Turn { key: member.key, apart });
            }
        }
    }
}

impl Member {
    /// How far it is, of what is far and of what is not but lasts.
    fn far(&self) -> Distance {
        Distance::of(self.distance).max(self.lasting())
    }

    fn lasting(&self) -> Distance {
        let spreads = self.lasting.abs() / (LASTING * self.wander.sqrt().max(WANDER_MIN));
        Distance::of(spreads.min(FAR))
    }

    fn learn(&mut self, own: f64, unit: f64) {
        let (clip, least) = if self.rounds < WARM_UP { (f64::MAX, 0.0) } else { (CLIP * unit, USUAL_MIN) };
        let clipped = own.clamp(-clip, clip);
        let rounds = f64::from(self.rounds).clamp(least, USUAL);
        // Before its first it is not known what it is off.
        if self.rounds > 0 {
            self.variance += (clipped * clipped - self.variance) / rounds;
        }
        self.off += clipped / (rounds + 1.0);
        let most = CLIP * self.wander.sqrt().max(WANDER_MIN);
        let wander = self.lasting.clamp(-most, most);
        self.wander += (wander * wander - self.wander) / rounds.max(1.0);
        self.rounds = self.rounds.saturating_add(1);
    }
}

/// The value that a share of all is below, of those as they come in order; reorders them. None: 0.
fn quantile(all: &mut [f64], share: f64) -> f64 {
    let Some(last) = all.len().checked_sub(1) else { return 0.0 };
    let at = (share * last as f64) as usize;
    let (_, value, above) = all.select_nth_unstable_by(at, f64::total_cmp);
    let value = *value;
    let next = above.iter().copied().min_by(f64::total_cmp);
    let part = share * last as f64 - at as f64;
    next.map_or(value, |next| (1.0 - part) * value + part * next)
}

#[cfg(test)]
mod tests;
