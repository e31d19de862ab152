//! One connection that all callers share: what they ask at one moment goes out in one write, and
//! every reply is matched with its command by the opaque that it brings back.
//!
//! A reply with another opaque than the next one that is awaited ends the connection: one was lost
//! or came twice, and all behind it would be told what others asked.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::error::{broken, unspoken};
use super::reply::{self, Nonsense, Reply};
use super::request::Request;
use crate::error::Result;

/// How many callers can wait for their commands to be written; others wait for a place.
const QUEUE: usize = 1_024;
/// Commands that are waiting are written together up to about this size.
const WRITE_BYTES: usize = 64 << 10;
const READ_BYTES: usize = 16 << 10;

/// A connection to a server. Dropping it ends it.
pub(super) struct Connection {
    /// Later connections have higher numbers. CAS numbers of an item compare on one connection
    /// only: a server that has been started again counts anew.
    pub(super) number: u64,
    batches: mpsc::Sender<Batch>,
    awaited: Awaited,
    opaques: AtomicU64,
    tasks: [JoinHandle<()>; 2],
}

/// Commands of one caller, who is told when all have been answered.
struct Batch {
    bytes: Vec<u8>,
    opaques: Range<u64>,
    replies: Vec<Reply>,
    done: oneshot::Sender<Result<Vec<Reply>, Nonsense>>,
}

impl Connection {
    /// Takes over a stream. Must be called in a Tokio runtime.
    pub(super) fn new(stream: TcpStream, number: u64) -> Self {
        let (read, write) = stream.into_split();
        let (batches, queue) = mpsc::channel(QUEUE);
        let awaited = Awaited::default();
        let reader = tokio::spawn(read_all(read, awaited.clone()));
        let writer = tokio::spawn(write_all(write, queue, awaited.clone()));
        Self {
            number,
            batches,
            awaited,
            opaques: AtomicU64::new(1),
            tasks: [reader, writer],
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.awaited.is_open()
    }

    /// Sends the commands in one write, and waits for the reply of each, in their order. Dropped
    /// halfway, they may be carried out or not.
    pub(super) async fn ask(&self, requests: &[Request<'_>]) -> Result<Vec<Reply>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let count = requests.len() as u64;
        let first = self.opaques.fetch_add(count, Ordering::Relaxed);
        let mut bytes = Vec::new();
        for (opaque, request) in (first..).zip(requests) {
            request.write(opaque, &mut bytes);
        }
        let (done, replies) = oneshot::channel();
        let batch = Batch {
            bytes,
            opaques: first..first + count,
            replies: Vec::with_capacity(requests.len()),
            done,
        };
        self.batches.send(batch).await.map_err(|_| broken())?;
        match replies.await {
            Ok(Ok(replies)) => Ok(replies),
            Ok(Err(Nonsense::Unspoken)) => Err(unspoken()),
            Ok(Err(Nonsense::Foreign)) | Err(_) => Err(broken()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What has been sent and not been answered yet, in order; nothing once the connection is over.
#[derive(Clone)]
struct Awaited(Arc<Mutex<Option<VecDeque<Batch>>>>);

impl Default for Awaited {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(VecDeque::new()))))
    }
}

impl Awaited {
    fn with<T>(&self, change: impl FnOnce(&mut Option<VecDeque<Batch>>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_open(&self) -> bool {
        self.with(|queue| queue.is_some())
    }

    /// Awaits a batch's replies; false if none will come.
    fn push(&self, batch: Batch) -> bool {
        self.with(|queue| match queue {
            Some(queue) => {
                queue.push_back(batch);
                true
            }
            None => false,
        })
    }

    /// Gives a reply to whom it is for.
    fn take(&self, opaque: Option<u64>, reply: Reply) -> Result<(), Nonsense> {
        let answered = self.with(|queue| {
            let queue = queue.as_mut().ok_or(Nonsense::Foreign)?;
            let batch = queue.front_mut().ok_or(Nonsense::Foreign)?;
            let expected = batch.opaques.start + batch.replies.len() as u64;
            let is_refusal = matches!(reply, Reply::Refused(_));
            if opaque != Some(expected) && !(is_refusal && opaque.is_none()) {
                return Err(Nonsense::Foreign);
            }
            batch.replies.push(reply);
            let is_whole = expected + 1 == batch.opaques.end;
            Ok(is_whole.then(|| queue.pop_front()).flatten())
        })?;
        if let Some(batch) = answered {
            // Its caller may have gone away.
            let _ = batch.done.send(Ok(batch.replies));
        }
        Ok(())
    }

    /// Ends the wait of everybody. The next in turn is told why.
    fn close(&self, why: Option<Nonsense>) {
        let mut left = self.with(Option::take).unwrap_or_default();
        if let (Some(batch), Some(why)) = (left.pop_front(), why) {
            let _ = batch.done.send(Err(why));
        }
    }
}

async fn read_all(mut stream: OwnedReadHalf, awaited: Awaited) {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let why = loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break None,
            Ok(_) => {}
        }
        if let Err(nonsense) = give_out(&mut buffer, &awaited) {
            break Some(nonsense);
        }
    };
    awaited.close(why);
}

fn give_out(buffer: &mut BytesMut, awaited: &Awaited) -> Result<(), Nonsense> {
    while let Some((opaque, reply)) = reply::next(buffer)? {
        awaited.take(opaque, reply)?;
    }
    Ok(())
}

async fn write_all(mut stream: OwnedWriteHalf, mut queue: mpsc::Receiver<Batch>, awaited: Awaited) {
    let mut bytes = Vec::new();
    while let Some(first) = queue.recv().await {
        bytes.clear();
        let mut next = Some(first);
        while let Some(mut batch) = next {
            // Who has given up while he waited asks for nothing any more.
            if !batch.done.is_closed() {
                bytes.append(&mut batch.bytes);
                if !awaited.push(batch) {
                    return;
                }
            }
            let has_room = bytes.len() < WRITE_BYTES;
            next = has_room.then(|| queue.try_recv().ok()).flatten();
        }
        if stream.write_all(&bytes).await.is_err() {
            return awaited.close(None);
        }
    }
}
