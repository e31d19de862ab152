//! Replies that are whole, and whom they are given to.

/// What becomes of a reply that the client does not get as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// It is lost: who waits for it gets the next one, which is somebody else's.
    Lost,
    /// It comes twice: who asked next gets it too.
    Twice,
    /// It changes places with the next one.
    Swapped,
    /// A reply comes in its place that some other command could have had.
    Replaced,
}

/// Replies that fit some command or other.
const OTHERS: [&[u8]; 8] = [
    b":1\r\n",
    b"$-1\r\n",
    b"*2\r\n$6\r\nleased\r\n$0\r\n\r\n",
    b"*1\r\n$-1\r\n",
    b":0\r\n",
    b"*0\r\n",
    b"+OK\r\n",
    b"$5\r\nhello\r\n",
];

/// What comes from the server on one connection, a reply at a time.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// The beginning of a reply.
    rest: Vec<u8>,
    /// The first of two that change places.
    held: Option<Vec<u8>>,
    /// How many have come since they began to slip.
    count: usize,
    /// It is no protocol that is known here.
    is_opaque: bool,
}

impl Replies {
    /// The whole replies in what has come so far, each `every`-th with its slip.
    pub(super) fn pass(&mut self, bytes: &[u8], slip: Option<(Slip, usize)>) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let mut passed = Vec::new();
        while let Some(reply) = self.next() {
            self.count = slip.map_or(0, |_| self.count + 1);
            let slip = slip.filter(|(_, every)| self.count.is_multiple_of(*every));
            self.give(reply, slip.map(|(slip, _)| slip), &mut passed);
        }
        passed
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        if !self.is_opaque {
            match length(&self.rest) {
                Ok(length) => return Some(self.rest.drain(..length).collect()),
                Err(Unreadable::Unfinished) => return None,
                Err(Unreadable::Foreign) => self.is_opaque = true,
            }
        }
        let all = std::mem::take(&mut self.rest);
        (!all.is_empty()).then_some(all)
    }

    fn give(&mut self, mut reply: Vec<u8>, slip: Option<Slip>, passed: &mut Vec<u8>) {
        match slip {
            Some(Slip::Lost) => reply.clear(),
            Some(Slip::Twice) => reply.extend_from_within(..),
            Some(Slip::Swapped) if self.held.is_none() => return self.held = Some(reply),
            Some(Slip::Replaced) => reply = OTHERS[self.count % OTHERS.len()].into(),
            _ => {}
        }
        passed.append(&mut reply);
        passed.append(&mut self.held.take().unwrap_or_default());
    }
}

#[derive(Debug, PartialEq)]
enum Unreadable {
    Unfinished,
    Foreign,
}

/// How long the first reply is, whatever it holds.
fn length(bytes: &[u8]) -> Result<usize, Unreadable> {
    let kind = *bytes.first().ok_or(Unreadable::Unfinished)?;
    let line = bytes.windows(2).position(|end| end == b"\r\n");
    if !b"+-:,#_($=!*~>%|".contains(&kind) {
        return Err(Unreadable::Foreign);
    }
    let line = line.ok_or(Unreadable::Unfinished)?;
    let number = std::str::from_utf8(&bytes[1..line]).ok();
    let number = number.and_then(|text| text.parse::<usize>().ok());
    match (kind, number) {
        (b'$' | b'=' | b'!', Some(length)) => within(bytes, line + 2 + length + 2),
        (b'*' | b'~' | b'>', Some(count)) => several(bytes, line + 2, count),
        (b'%' | b'|', Some(count)) => several(bytes, line + 2, 2 * count),
        _ => Ok(line + 2),
    }
}

fn several(bytes: &[u8], start: usize, count: usize) -> Result<usize, Unreadable> {
    (0..count).try_fold(start, |end, _| Ok(end + length(&bytes[end..])?))
}

fn within(bytes: &[u8], length: usize) -> Result<usize, Unreadable> {
    let is_whole = bytes.len() >= length;
    is_whole.then_some(length).ok_or(Unreadable::Unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_passes_when_it_is_whole() {
        let stream = b"+OK\r\n$5\r\n\r\n:1x\r\n*2\r\n$-1\r\n*1\r\n:7\r\n%1\r\n+a\r\n_\r\n";
        let ends = [5, 16, 33, 44];
        let mut replies = Replies::default();
        let mut passed = 0;
        for (position, byte) in stream.iter().enumerate() {
            passed += replies.pass(&[*byte], None).len();
            let last = ends.iter().filter(|end| **end <= position + 1).max();
            assert_eq!(passed, *last.unwrap_or(&0));
        }
    }

    #[test]
    fn what_is_no_reply_passes_as_it_is() {
        let mut replies = Replies::default();
        assert_eq!(
            replies.pass(b"\x16\x03\x01", Some((Slip::Twice, 2))),
            b"\x16\x03\x01"
        );
    }

    #[test]
    fn every_second_reply_slips() {
        for (slip, expected) in [
            (Slip::Lost, &b":1\r\n:3\r\n:5\r\n"[..]),
            (Slip::Twice, b":1\r\n:2\r\n:2\r\n:3\r\n:4\r\n:4\r\n:5\r\n"),
            (Slip::Swapped, b":1\r\n:3\r\n:2\r\n:5\r\n:4\r\n"),
            (
                Slip::Replaced,
                b":1\r\n*2\r\n$6\r\nleased\r\n$0\r\n\r\n:3\r\n:0\r\n:5\r\n",
            ),
        ] {
            let passed =
                Replies::default().pass(b":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n", Some((slip, 2)));
            assert_eq!(passed, expected, "{slip:?}");
        }
    }
}
