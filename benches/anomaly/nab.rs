//! The Numenta Anomaly Benchmark's score (Lavin and Ahmad, "Evaluating real-time anomaly detection algorithms", 2015; Ahmad et al.,
//! "Unsupervised real-time anomaly detection for streaming data", 2017): one threshold for all files, the earliest detection
//! in a window counts, and the later the less; each outside costs.

/// What a detection, a false one and a missed window are worth.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    tp: f64,
    fp: f64,
    missed: f64,
}

/// The benchmark's three: standard, low false positives, low false negatives.
pub const PROFILES: [Profile; 3] = [
    Profile { tp: 1.0, fp: 0.11, missed: 1.0 },
    Profile { tp: 1.0, fp: 0.22, missed: 1.0 },
    Profile { tp: 1.0, fp: 0.11, missed: 2.0 },
];

/// The scores of a file's rows, and its windows as first and last row.
#[derive(Clone, Debug)]
pub struct Scored {
    pub scores: Vec<f64>,
    pub windows: Vec<(usize, usize)>,
}

/// A row after probation.
#[derive(Clone, Copy, Debug)]
struct Point {
    score: f64,
    /// What a detection here is worth, before the profile.
    worth: f64,
    window: Option<usize>,
}

/// The best score of a profile over all thresholds, and that threshold.
pub fn best(files: &[Scored], profile: Profile) -> (f64, f64) {
    let curve = curve(files, profile);
    curve
        .into_iter()
        .fold((f64::MIN, 0.0), |best, (threshold, score)| if score > best.0 { (score, threshold) } else { best })
}

/// The score of a profile at a threshold.
pub fn at(files: &[Scored], profile: Profile, threshold: f64) -> f64 {
    let curve = curve(files, profile);
    curve.into_iter().take_while(|(t, _)| *t >= threshold).last().map_or(0.0, |(_, score)| score)
}

/// The score at each threshold, from above.
fn curve(files: &[Scored], profile: Profile) -> Vec<(f64, f64)> {
    let (mut points, mut windows) = (Vec::new(), 0);
    for file in files {
        points.extend(rows(file, windows));
        windows += file.windows.len();
    }
    points.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut best: Vec<Option<f64>> = vec![None; windows];
    points.iter().filter_map(|p| p.window).for_each(|window| best[window] = Some(-profile.missed));
    let reachable = best.iter().flatten().count() as f64;
    let (nothing, perfect) = (-profile.missed * reachable, profile.tp * windows as f64);
    let normal = |raw: f64| 100.0 * (raw - nothing) / (perfect - nothing);
    let (mut curve, mut total, mut threshold) = (Vec::new(), nothing, 1.1);
    for point in points {
        if point.score < threshold {
            curve.push((threshold, normal(total)));
            threshold = point.score;
        }
        match point.window.and_then(|window| best.get_mut(window)?.as_mut()) {
            None => total += point.worth * profile.fp,
            Some(known) if point.worth * profile.tp > *known => {
                total += point.worth * profile.tp - *known;
                *known = point.worth * profile.tp;
            }
            Some(_) => {}
        }
    }
    curve.push((threshold, normal(total)));
    curve
}

fn rows(file: &Scored, first_window: usize) -> impl Iterator<Item = Point> {
    let n = file.scores.len();
    let probation = ((0.15 * n as f64).floor()).min(750.0) as usize;
    let mut points = Vec::with_capacity(n);
    let (mut previous, mut next) = (None, 0);
    for (row, score) in file.scores.iter().copied().enumerate() {
        while file.windows.get(next).is_some_and(|(_, last)| *last < row) {
            let (first, last) = file.windows[next];
            previous = Some((last, (last - first) as f64));
            next += 1;
        }
        let point = match file.windows.get(next) {
            Some((first, last)) if row >= *first => {
                let width = (last - first + 1) as f64;
                let worth = sigmoid(-((last - row + 1) as f64) / width) / sigmoid(-1.0);
                Point { score, worth, window: Some(first_window + next) }
            }
            _ => {
                let worth = previous.map_or(-1.0, |(last, width)| sigmoid((row - last) as f64 / width));
                Point { score, worth, window: None }
            }
        };
        points.push(point);
    }
    points.into_iter().skip(probation)
}

fn sigmoid(y: f64) -> f64 {
    if y > 3.0 { -1.0 } else { 2.0 / (1.0 + libm::exp(5.0 * y)) - 1.0 }
}
