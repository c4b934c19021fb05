//! The real binary, as a user runs it.
use anyhow::{Context as _, bail, ensure};
use quell_proto::v1::quell_client::QuellClient;
use std::{
    env, fs,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tonic::transport::Channel;

/// The binary under test: `QUELL_BIN`, else the one of this build, made if need be with the features that the
/// tests are built with.
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        if let Some(path) = env::var_os("QUELL_BIN") {
            return PathBuf::from(path);
        }
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "--quiet", "--workspace", "--bins"]).status();
        assert!(built.is_ok_and(|status| status.success()), "cargo build failed");
        // target/debug/deps/this-test
        let test = env::current_exe().expect("the test has a path");
        test.ancestors().nth(2).expect("target/debug").join("quell")
    };
    BINARY.get_or_init(find).clone()
}

/// A process that is killed when it is dropped.
#[derive(Debug)]
pub struct Quell {
    child: Child,
    pub address: SocketAddr,
    config: PathBuf,
    log: PathBuf,
}

/// Tries until it is so.
///
/// # Errors
/// Where it is not within half a minute, or can't be tried.
pub fn until(mut is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let since = Instant::now();
    while !is_so()? {
        ensure!(since.elapsed() < Duration::from_secs(30), "it does not come to that");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A port that nobody is given who asks for any, for a minute: a connection to it has ended there just now (`TIME_WAIT`). By its number it can be
/// listened on at once (`SO_REUSEADDR`).
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    let mut caller = TcpStream::connect(address).expect("it is listened on");
    // Who ends it first is the one that remembers it.
    drop(listener.accept().expect("a connection"));
    caller.read_to_end(&mut Vec::new()).expect("its end");
    address.port()
}

/// A directory with a configuration, for a server on a port of its own.
#[derive(Debug)]
pub struct Site {
    directory: TempDir,
    port: u16,
}

impl Site {
    /// Over `topology` (a file's text, or none where it is empty); `more` follows `server.listen`.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn new(topology: &str, more: &str) -> anyhow::Result<Self> {
        let site = Self { directory: TempDir::new()?, port: free_port() };
        let named = if topology.is_empty() { "" } else { "topology = \"topology.json\"\n" };
        fs::write(site.path("topology.json"), topology)?;
        let config =
            format!("data_dir = \"{}\"\n{named}[server]\nlisten = \"{}\"\n{more}\n", site.text("data"), site.server());
        fs::write(site.path("quell.toml"), config)?;
        Ok(site)
    }

    /// Of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The same as an argument.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Where it listens.
    pub fn server(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts the server, until it is ready.
    ///
    /// # Errors
    /// Where it does not come so far, with its log.
    pub fn run(&self) -> anyhow::Result<Quell> {
        let mut quell = Quell::run(&self.path("quell.toml"), self.port, &self.path("quell.log"))?;
        quell.ready().with_context(|| fs::read_to_string(self.path("quell.log")).unwrap_or_default())?;
        Ok(quell)
    }

    /// A client of it.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn client(&self) -> anyhow::Result<QuellClient<Channel>> {
        Ok(QuellClient::connect(format!("http://{}", self.server())).await?)
    }
}

impl Quell {
    /// `quell run` with this configuration, which listens on `port`. Its log goes to `log`. A full disk is an error to
    /// it and no signal (`trap`), so that a test can fill one.
    ///
    /// # Errors
    /// Where it can't be started.
    pub fn run(config: &Path, port: u16, log: &Path) -> anyhow::Result<Self> {
        let child = spawn(config, log)?;
        Ok(Self { child, address: ([127, 0, 0, 1], port).into(), config: config.to_owned(), log: log.to_owned() })
    }

    /// Started anew after it has ended, as a supervisor would.
    ///
    /// # Errors
    /// Where it can't be started.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&self.config, &self.log)?;
        Ok(())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `/ready` is 200.
    ///
    /// # Errors
    /// Where it ends first, or takes more than a minute.
    pub fn ready(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("quell ended before it was ready: {status}");
            }
            if get(self.address, "/ready").is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            ensure!(since.elapsed() < Duration::from_secs(60), "quell is not ready after a minute");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a metric is so much: what was folded is counted a moment later.
    ///
    /// # Errors
    /// Where it is not within half a minute.
    pub fn metric_becomes(&self, name: &str, value: f64) -> anyhow::Result<()> {
        let mut now = value;
        let becomes = until(|| {
            now = self.metric(name)?;
            Ok(now == value)
        });
        becomes.with_context(|| format!("{name} is {now}, not {value}"))
    }

    /// The sum of a metric over its labels; 0 where it is not there.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let (status, page) = get(self.address, "/metrics")?;
        ensure!(status == 200, "/metrics answers {status}");
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            if !rest.starts_with([' ', '{']) {
                return None;
            }
            rest.rsplit_once(' ')?.1.parse::<f64>().ok()
        };
        Ok(page.lines().filter_map(of).sum())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// Where it can't be sent.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM; its exit code, and how long it took.
    ///
    /// # Errors
    /// Where it does not end within 15 s.
    pub fn terminate(mut self) -> anyhow::Result<(Option<i32>, Duration)> {
        let since = Instant::now();
        Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        while since.elapsed() < Duration::from_secs(15) {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status.code(), since.elapsed()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("quell does not stop")
    }

    /// Waits until it ends by itself; its exit code.
    ///
    /// # Errors
    /// Where it does not.
    pub fn ends_by_itself(&mut self, within: Duration) -> anyhow::Result<Option<i32>> {
        let since = Instant::now();
        while since.elapsed() < within {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("quell does not end by itself")
    }
}

fn spawn(config: &Path, log: &Path) -> anyhow::Result<Child> {
    let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" run --config \"$1\""])
        .arg(binary())
        .arg(config)
        .env("RUST_LOG", "info")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(child)
}

impl Drop for Quell {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command of the binary, to its end.
///
/// # Errors
/// Where it can't be started.
pub fn quell(args: &[&str]) -> anyhow::Result<Output> {
    Ok(Command::new(binary()).args(args).stdin(Stdio::null()).output()?)
}

/// A command of the binary that has to succeed; what it printed.
///
/// # Errors
/// Where it fails, with what it said.
pub fn quell_ok(args: &[&str]) -> anyhow::Result<String> {
    let output = quell(args)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "quell {}: {}: {said}", args.join(" "), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// HTTP GET; status and body.
///
/// # Errors
/// Where nobody answers.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: quell\r\nConnection: close\r\n\r\n");
    http(address, &head, b"").map(|(status, _, body)| (status, body))
}

/// HTTP POST of JSON; status and body.
///
/// # Errors
/// Where nobody answers.
pub fn post(address: SocketAddr, path: &str, body: &[u8]) -> anyhow::Result<(u16, String)> {
    request(address, "POST", path, &[("content-type", "application/json")], body)
}

/// An HTTP request; status and body.
///
/// # Errors
/// Where nobody answers.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> anyhow::Result<(u16, String)> {
    let length = body.len();
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: quell\r\nConnection: close\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    http(address, &format!("{head}\r\n"), body).map(|(status, _, body)| (status, body))
}

/// HTTP by hand: a head and a body; status, head and body.
///
/// # Errors
/// Where nobody answers.
pub fn http(address: SocketAddr, head: &str, body: &[u8]) -> anyhow::Result<(u16, String, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    // Who refuses a request early need not take all of it: the answer stands all the same (RFC 9112, 9.6).
    let is_cut = |error: &io::Error| matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    sent.or_else(|error| if is_cut(&error) { Ok(()) } else { Err(error) })?;
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).map(|_| ());
    read.or_else(|error| if is_cut(&error) { Ok(()) } else { Err(error) })?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no HTTP status")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok((status, format!("{head}\r\n"), if chunked { unchunk(body) } else { body.to_owned() }))
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
