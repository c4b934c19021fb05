//! Connections: so many, and each has to come to its point in time. `axum::serve` bounds neither.
use crate::stop::Stop;
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, Sleep, sleep},
};

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Headers of an HTTP/1 request.
const HEADERS_MAX: usize = 100;
/// Requests of an HTTP/2 connection at once; a client waits for more.
const STREAMS_MAX: u32 = 200;
/// Requests that an HTTP/2 client takes back before they were looked at; with more it is sent away.
const RESETS_MAX: usize = 20;
/// Whether an HTTP/2 client is still there: without it a follower that is gone would hold its feed for ever.
const PING: Duration = Duration::from_secs(60);
const PONG: Duration = Duration::from_secs(20);
/// By so many bytes it is known whether HTTP/1 or 2 is spoken: the length of HTTP/2's preface.
const OPENING: usize = 24;
/// How long what still comes after the last answer is read.
const LINGER: Duration = Duration::from_secs(1);
/// Where a connection can't be taken, most often for want of file descriptors, it is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections_max: usize,
    /// The head of a request is there after so long.
    pub head_max: Duration,
}

/// Connections of the port.
#[derive(Debug)]
pub struct Connections {
    pub limits: Limits,
    room: Arc<Semaphore>,
    refused: AtomicU64,
}

impl Connections {
    /// With none yet.
    pub fn new(limits: Limits) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(limits.connections_max));
        Arc::new(Self { limits, room, refused: AtomicU64::new(0) })
    }

    /// Open now.
    pub fn open(&self) -> usize {
        self.limits.connections_max.saturating_sub(self.room.available_permits())
    }

    /// Closed as soon as they came, as so many were open.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Serves until it is told to stop, and then what is being answered.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, router: Router, mut stopping: Stop) {
        let (http, graceful) = (self.http(), GracefulShutdown::new());
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                () = stopping.requested() => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection can't be taken");
                    sleep(AGAIN).await;
                    continue;
                }
            };
            let Ok(room) = self.room.clone().try_acquire_owned() else {
                self.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            // Small frames are not held back; a connection that is gone already fails when it is read.
            let _ = stream.set_nodelay(true);
            let stream = TokioIo::new(Prompt::new(stream, self.limits.head_max));
            let service = TowerToHyperService::new(router.clone());
            let served = graceful.watch(http.serve_connection(stream, service).into_owned());
            connections.spawn(async move {
                if let Err(error) = served.await {
                    tracing::debug!(error, "a connection ended");
                }
                drop(room);
            });
        }
        drop(listener);
        graceful.shutdown().await;
    }

    fn http(&self) -> Builder<TokioExecutor> {
        let mut http = Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_max)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX);
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .max_concurrent_streams(STREAMS_MAX)
            .max_pending_accept_reset_streams(RESETS_MAX);
        http
    }
}

/// A connection whose first bytes have to come in time: until it knows what is spoken, hyper waits for ever. What still
/// comes after the last answer is read for a moment and thrown away: closed at once, the answer to a body that was refused
/// early would be lost with it (RFC 9112 section 9.6).
struct Prompt {
    stream: TcpStream,
    /// Bytes that have to come before the deadline is no more.
    wanted: usize,
    deadline: Pin<Box<Sleep>>,
    /// Nothing more is written.
    shut: bool,
}

impl Prompt {
    fn new(stream: TcpStream, within: Duration) -> Self {
        Self { stream, wanted: OPENING, deadline: Box::pin(sleep(within)), shut: false }
    }
}

impl AsyncRead for Prompt {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            self.wanted = self.wanted.saturating_sub(buffer.filled().len() - before);
            return Poll::Ready(read);
        }
        if self.wanted == 0 {
            return Poll::Pending;
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.shut = true;
            self.deadline.as_mut().reset(Instant::now() + LINGER);
        }
        let mut rest = [0; 16 * 1024];
        while self.deadline.as_mut().poll(cx).is_pending() {
            let mut rest = ReadBuf::new(&mut rest);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
