//! What a live alert costs in memory: bytes of heap that the engine holds, and that one restored from its snapshot holds,
//! with the sizes of allocation that take most; then what the topology takes, and the views beside the engine.
//!
//!     cargo bench -p quell-benches --bench memory
//!
//! `QUELL_ALERTS`: how many alerts live (1,000,000).
#![expect(unsafe_code, reason = "an allocator that counts")]
use quell::views::Views;
use quell_benches::{crowd, running::number};
use quell_connectors::decode::{Context, Mapping, canonical};
use quell_core::{
    domain::{
        policy::{Clock, Policy},
        time::Timestamp,
        topology::Topology,
    },
    engine::{Engine, Input, Pack},
    output::{ByTopic, Outputs},
};
use std::{
    alloc::{GlobalAlloc, Layout},
    array,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

const BEGIN_MS: i64 = 1_767_571_200_000;
const SPAN_MS: usize = 60_000;
const PACK_EVENTS: usize = 500;
/// Sizes are told apart up to this; larger ones are tables.
const SIZES: usize = 4_096;
const SHOWN: usize = 16;

/// That of the binary, counted.
struct Counted(mimalloc::MiMalloc);

#[global_allocator]
static ALLOCATOR: Counted = Counted(mimalloc::MiMalloc);
/// Bytes that live, by size of allocation.
static LIVE: [AtomicUsize; SIZES + 1] = [const { AtomicUsize::new(0) }; SIZES + 1];

// SAFETY: every call goes to the allocator of the binary.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE[layout.size().min(SIZES)].fetch_add(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE[layout.size().min(SIZES)].fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { self.0.dealloc(at, layout) }
    }
}

fn live() -> [usize; SIZES + 1] {
    array::from_fn(|size| LIVE[size].load(Relaxed))
}

fn main() -> anyhow::Result<()> {
    let alerts = number("QUELL_ALERTS", 1_000_000);
    let nothing = live();
    let topology = Topology::new(&serde_json::from_str(&crowd::topology(alerts / crowd::HOSTS))?)?;
    let topology = Arc::new(topology);
    show("topology", alerts, &nothing);
    let policy = Arc::new(Policy { clock: Clock::Events, ..Policy::default() });
    let without = live();

    let mut engine = Engine::new([0; 16], policy.clone(), topology.clone());
    let mut outputs = Outputs::default();
    let all: Vec<usize> = (0..2 * alerts).collect();
    // Each fires twice within two minutes, so that the incidents are raised.
    for (position, part) in (0..).zip(all.chunks(PACK_EVENTS)) {
        let pack = pack(part, alerts)?;
        engine.step(position, &Input::Pack(pack), &mut outputs)?;
        outputs.items.clear();
    }
    drop((all, outputs));
    let live_alerts = engine.views().iter().map(|view| view.alerts.len()).sum();
    show("folded", live_alerts, &without);

    let bytes = engine.snapshot()?;
    drop(engine);
    let mut engine = Engine::restore(&bytes, policy, vec![topology])?;
    println!("snapshot: {} bytes an alert", bytes.len() / live_alerts);
    drop(bytes);
    show("restored", live_alerts, &without);
    let engine_alone = live();
    let views = Views::new(1);
    views.load(0, &mut engine, &ByTopic::default());
    show("views", live_alerts, &engine_alone);
    drop(engine);
    Ok(())
}

fn pack(part: &[usize], alerts: usize) -> anyhow::Result<Pack> {
    let mapping = Mapping::default();
    let mut events = Vec::with_capacity(part.len());
    for n in part {
        let line = crowd::firing(n % alerts, BEGIN_MS + (n * SPAN_MS / alerts) as i64);
        let offset = *n as i64;
        let context =
            Context { arrival: Timestamp(0), offset, check_wall: false, mapping: &mapping, default_origin: "bench" };
        events.push(canonical::decode(line.as_bytes(), &context).map_err(|why| anyhow::anyhow!("{why}"))?);
    }
    Ok(Pack { range: None, events, rejected: Vec::new() })
}

fn show(name: &str, alerts: usize, without: &[usize; SIZES + 1]) {
    let mut sizes: Vec<_> = live().iter().zip(without).map(|(now, then)| now.saturating_sub(*then)).zip(0..).collect();
    let all: usize = sizes.iter().map(|(bytes, _): &(usize, usize)| bytes).sum();
    println!("{name}: {alerts} live alerts, {} bytes an alert, of which", all / alerts);
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    for (bytes, size) in sizes.into_iter().take(SHOWN) {
        let size = if size == SIZES { "tables".to_owned() } else { format!("of {size}") };
        println!("  {:>7.1} {size}", bytes as f64 / alerts as f64);
    }
}
