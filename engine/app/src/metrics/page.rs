//! The page's metrics: name, type, labels, meaning, and samples, each set of label values once.
use super::label::clean;
use prometheus::{Encoder as _, TextEncoder, core::Collector, proto};
use std::collections::BTreeMap;

/// A metric and its samples.
#[derive(Debug)]
pub struct Family {
    pub name: String,
    pub kind: proto::MetricType,
    pub labels: &'static [&'static str],
    pub help: String,
    /// By label values.
    samples: BTreeMap<Vec<String>, proto::Metric>,
}

/// Buckets of a histogram: their upper bounds in seconds, their counts (not cumulative; one more than there are bounds),
/// and the sum in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Buckets<'a> {
    pub bounds: &'a [f64],
    pub counts: &'a [u64],
    pub sum: f64,
}

impl Family {
    fn new(kind: proto::MetricType, name: &str, labels: &'static [&'static str], help: &str) -> Self {
        Self { name: name.to_owned(), kind, labels, help: help.to_owned(), samples: BTreeMap::new() }
    }

    /// What only grows.
    pub fn counter(name: &str, labels: &'static [&'static str], help: &str) -> Self {
        Self::new(proto::MetricType::COUNTER, name, labels, help)
    }

    /// What goes up and down.
    pub fn gauge(name: &str, labels: &'static [&'static str], help: &str) -> Self {
        Self::new(proto::MetricType::GAUGE, name, labels, help)
    }

    /// How often what lay between which bounds.
    pub fn histogram(name: &str, labels: &'static [&'static str], help: &str) -> Self {
        Self::new(proto::MetricType::HISTOGRAM, name, labels, help)
    }

    /// Adds to a sample: values that are alike once they are cut are one.
    pub fn add<const N: usize>(&mut self, values: [&str; N], value: f64) {
        let counts = self.kind == proto::MetricType::COUNTER;
        let sample = self.sample(values);
        if counts {
            let mut counter = proto::Counter::default();
            counter.set_value(sample.get_counter().get_value() + value);
            sample.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(sample.get_gauge().get_value() + value);
            sample.set_gauge(gauge);
        }
    }

    /// Sets a gauge, of values that are alike once they are cut the first.
    pub fn first<const N: usize>(&mut self, values: [&str; N], value: f64) {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        let values: Vec<String> = values.into_iter().map(clean).collect();
        if !self.samples.contains_key(&values) {
            self.metric(values).set_gauge(gauge);
        }
    }

    /// With its only sample.
    #[must_use]
    pub fn of(mut self, value: f64) -> Self {
        self.add([], value);
        self
    }

    /// With a histogram; the first of its label values stands.
    pub fn observe<const N: usize>(&mut self, values: [&str; N], buckets: Buckets<'_>) {
        let mut histogram = proto::Histogram::default();
        let mut below = 0;
        let mut all = Vec::with_capacity(buckets.bounds.len());
        for (bound, count) in buckets.bounds.iter().zip(buckets.counts) {
            below += count;
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(below);
            all.push(bucket);
        }
        histogram.set_bucket(all);
        histogram.set_sample_count(buckets.counts.iter().sum());
        histogram.set_sample_sum(buckets.sum);
        self.sample(values).set_histogram(histogram);
    }

    fn sample<const N: usize>(&mut self, values: [&str; N]) -> &mut proto::Metric {
        self.metric(values.into_iter().map(clean).collect())
    }

    fn metric(&mut self, values: Vec<String>) -> &mut proto::Metric {
        debug_assert_eq!(values.len(), self.labels.len(), "{}", self.name);
        let labels = self.labels;
        self.samples.entry(values).or_insert_with_key(|values| {
            let pair = |(name, value): (&&str, &String)| {
                let mut pair = proto::LabelPair::default();
                pair.set_name((*name).to_owned());
                pair.set_value(value.clone());
                pair
            };
            proto::Metric::from_label(labels.iter().zip(values).map(pair).collect())
        })
    }

    fn finish(self) -> proto::MetricFamily {
        let mut family = proto::MetricFamily::default();
        family.set_name(self.name);
        family.set_help(self.help);
        family.set_field_type(self.kind);
        family.set_metric(self.samples.into_values().collect());
        family
    }
}

/// All metrics, in the order they were added.
#[derive(Debug, Default)]
pub struct Page(pub Vec<Family>);

impl Page {
    /// Adds one.
    pub fn push(&mut self, family: Family) {
        self.0.push(family);
    }

    /// Adds what a collector of the library counts; without labels.
    pub fn collect(&mut self, collector: &dyn Collector) {
        for family in collector.collect() {
            let mut own = Family::new(family.get_field_type(), family.name(), &[], family.help());
            own.samples.extend(family.get_metric().first().map(|sample| (Vec::new(), sample.clone())));
            self.push(own);
        }
    }

    /// As text (<https://prometheus.io/docs/instrumenting/exposition_formats/>); what has no samples is left out.
    ///
    /// # Errors
    /// Where a metric is not well formed: a defect.
    pub fn text(self) -> Result<String, prometheus::Error> {
        let families: Vec<_> = self.0.into_iter().filter(|family| !family.samples.is_empty()).collect();
        let families: Vec<_> = families.into_iter().map(Family::finish).collect();
        let mut page = Vec::new();
        TextEncoder::new().encode(&families, &mut page)?;
        String::from_utf8(page).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}
