//! The release binary under load, seen from outside.
use anyhow::{Context as _, bail, ensure};
use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Of `/proc/PID/stat`, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// The broker of `QUELL_KAFKA`; without one says so, loudly.
pub fn kafka(bench: &str) -> Option<String> {
    let brokers = env::var("QUELL_KAFKA").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        eprintln!(
            "\n!!! NOT MEASURED: {bench} needs a Kafka. QUELL_KAFKA=$(tests/kafka/start.sh) cargo bench runs it.\n"
        );
    }
    brokers
}

/// A number of the environment, or what it is without.
pub fn number(name: &str, otherwise: usize) -> usize {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// `QUELL_BIN`, else the release binary beside the benches.
///
/// # Errors
/// Where there is none.
pub fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var_os("QUELL_BIN") {
        return Ok(path.into());
    }
    // target/release/deps/this-bench
    let path = env::current_exe()?.ancestors().nth(2).context("target/release")?.join("quell");
    ensure!(path.exists(), "{} is not there: cargo build --release, or QUELL_BIN", path.display());
    Ok(path)
}

/// A name that no other run uses.
pub fn unique(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{name}-{:x}", now.as_micros())
}

/// Where the journal is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Journal {
    Local,
    Kafka,
}

/// What a `quell.toml` says.
#[derive(Debug)]
pub struct Setup<'a> {
    pub brokers: &'a str,
    pub topic: &'a str,
    pub journal: Journal,
    pub clock: &'a str,
    pub topology: &'a str,
    /// Sections that are only this bench's.
    pub more: &'a str,
}

/// `quell run`, killed when it is dropped.
#[derive(Debug)]
pub struct Quell {
    child: Child,
    directory: PathBuf,
    pub address: SocketAddr,
}

impl Quell {
    /// Starts with this setup and a journal of its own in `directory`.
    ///
    /// # Errors
    /// Where it can't be started.
    pub fn start(setup: &Setup<'_>, directory: &Path) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let journal = if setup.journal == Journal::Local { "local" } else { "kafka" };
        let (brokers, topic, clock) = (setup.brokers, setup.topic, setup.clock);
        let topology = if setup.topology.is_empty() { "" } else { "topology.json" };
        fs::write(directory.join("topology.json"), setup.topology)?;
        let config = format!(
            "data_dir = \"data\"\ntopology = \"{topology}\"\n[server]\nlisten = \"127.0.0.1:{port}\"\n\
             [journal]\nkind = \"{journal}\"\nclock = \"{clock}\"\n[kafka]\nbrokers = \"{brokers}\"\nprefix = \"{}\"\n\
             {}\n[[source]]\nkind = \"kafka\"\ntopics = [\"{topic}\"]\n",
            unique("quell"),
            setup.more,
        );
        fs::write(directory.join("quell.toml"), config)?;
        let child = spawn(directory)?;
        Ok(Self { child, directory: directory.to_owned(), address: ([127, 0, 0, 1], port).into() })
    }

    /// SIGKILL, and started anew.
    ///
    /// # Errors
    /// Where it can't be.
    pub fn kill_and_start(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(&self.directory)?;
        Ok(())
    }

    /// Waits for `/ready`.
    ///
    /// # Errors
    /// Where it ends first, or takes more than two minutes.
    pub fn ready(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.directory.join("quell.log")).unwrap_or_default();
                bail!("quell ended: {status}\n{log}");
            }
            if get(self.address, "/ready").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(());
            }
            ensure!(since.elapsed() < Duration::from_secs(120), "quell is not ready");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The sum of a metric over its labels.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let page = get(self.address, "/metrics")?;
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with([' ', '{']).then(|| rest.rsplit_once(' ')?.1.parse::<f64>().ok())?
        };
        Ok(page.lines().filter_map(of).sum())
    }

    /// The memory that it has, in bytes.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn resident(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes * 1024.0)
    }

    /// Waits until so many events have an outcome; how many there were when it first saw some, and the time from then.
    ///
    /// # Errors
    /// Where it stops to answer, or nothing moves for a minute.
    pub fn folded(&self, events: usize, every: Duration) -> anyhow::Result<(f64, Duration)> {
        let (mut first, mut moved) = (None, (Instant::now(), 0.0));
        loop {
            let now = self.metric("quell_events_received_total")?;
            if now > 0.0 && first.is_none() {
                first = Some((now, Instant::now()));
            }
            if now >= events as f64 {
                let (count, since) = first.context("a first")?;
                return Ok((count, since.elapsed()));
            }
            if now > moved.1 {
                moved = (Instant::now(), now);
            }
            ensure!(moved.0.elapsed() < Duration::from_secs(60), "{now} of {events} events, and no more");
            thread::sleep(every);
        }
    }

    /// CPU-seconds of the process, its threads' and the kernel's for it.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        cpu(self.child.id())
    }
}

impl Drop for Quell {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &Path) -> anyhow::Result<Child> {
    let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("quell.log"))?;
    let mut command = Command::new(binary()?);
    command.args(["run", "--config", "quell.toml"]).current_dir(directory).stdin(Stdio::null());
    Ok(command.stdout(log.try_clone()?).stderr(log).spawn()?)
}

/// CPU-seconds of a process.
///
/// # Errors
/// Where it is gone.
pub fn cpu(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("a name")?.1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).context("ticks");
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: quell\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
