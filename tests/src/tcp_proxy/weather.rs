//! What happens to bytes on their way.

use std::io::{self, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::Direction;
use super::replies::Slip;

/// From one byte of a slow reply to the next.
const DRIP: Duration = Duration::from_millis(5);

/// What the proxy does to what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Forwards everything.
    Clear,
    /// Takes everything, connections included, and forwards nothing. What has lost bytes by it
    /// stays silent for good.
    HalfOpen,
    /// Holds back whatever comes, until the weather changes.
    Held,
    /// Holds back for this long whatever comes, in both directions.
    Delay(Duration),
    /// Forwards replies a byte at a time, five milliseconds apart.
    Drip,
    /// Replaces replies by as many bytes that mean nothing.
    Garbage,
    /// Every so-many-th reply of a connection is not given to whom it is for.
    OutOfStep(Slip, usize),
    /// Listens no more; connections that stand end.
    Refused,
}

impl Weather {
    pub(super) fn slip(self) -> Option<(Slip, usize)> {
        match self {
            Self::OutOfStep(slip, every) => Some((slip, every)),
            _ => None,
        }
    }

    pub(super) fn pass(
        self,
        bytes: &mut [u8],
        to: &mut TcpStream,
        direction: Direction,
    ) -> io::Result<()> {
        match self {
            Self::Delay(delay) => thread::sleep(delay),
            Self::Drip if direction == Direction::ToClient => return drip(bytes, to),
            Self::Garbage if direction == Direction::ToClient => scramble(bytes),
            _ => {}
        }
        to.write_all(bytes)
    }
}

fn drip(bytes: &[u8], to: &mut TcpStream) -> io::Result<()> {
    for byte in bytes {
        thread::sleep(DRIP);
        to.write_all(&[*byte])?;
    }
    Ok(())
}

/// What comes out is never a reply: none begins with a byte of these, and none has a line's end.
fn scramble(bytes: &mut [u8]) {
    for (position, byte) in bytes.iter_mut().enumerate() {
        *byte = 0x80 | byte.wrapping_mul(167).wrapping_add(position as u8);
    }
}
