//! Replies, as they come over a connection: in pieces, of bounded size, each with its opaque.

use bytes::{Buf, Bytes, BytesMut};

/// What comes without an end of line for longer than this is no reply.
const MAX_LINE_BYTES: usize = 2_048;
/// The largest value that is taken: an item of a server is at most 1 GiB, and 1 MiB by default.
const MAX_VALUE_BYTES: usize = 64 << 20;

/// What the server answered to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// There is an item; its bytes are empty if they were not asked for.
    Found { cas: u64, bytes: Bytes },
    /// It was done. A stored item has this CAS number; for a deletion it is 0.
    Done { cas: u64 },
    /// There is no such item.
    Absent,
    /// Another item stands there than the condition says.
    Changed,
    /// It was not done. A `Put` that is refused has removed what stood there.
    Refused(Refusal),
}

/// Why the server did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLarge,
    Full,
    Other,
}

/// What no connection recovers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nonsense {
    /// The server does not know the command.
    Unspoken,
    /// This is not how memcached speaks.
    Foreign,
}

/// A reply, and the opaque of the command that it answers. A refusal has none, and is safe in
/// anybody's hands: who is refused has not been promised anything.
type Tagged = (Option<u64>, Reply);

/// Takes the next reply off the front; `None` if it is not whole yet.
pub(super) fn next(buffer: &mut BytesMut) -> Result<Option<Tagged>, Nonsense> {
    let searched = &buffer[..buffer.len().min(MAX_LINE_BYTES)];
    let Some(end) = searched.windows(2).position(|two| two == b"\r\n") else {
        let is_endless = searched.len() == MAX_LINE_BYTES;
        return if is_endless {
            Err(Nonsense::Foreign)
        } else {
            Ok(None)
        };
    };
    let line = std::str::from_utf8(&buffer[..end]).map_err(|_| Nonsense::Foreign)?;
    let Some(length) = value_length(line)? else {
        let reply = parse(line);
        buffer.advance(end + 2);
        return reply.map(Some);
    };
    let whole = end + 2 + length + 2;
    if buffer.len() < whole {
        return Ok(None);
    }
    let tokens = Tokens::of(line)?;
    let mut reply = buffer.split_to(whole).freeze();
    if &reply[whole - 2..] != b"\r\n" {
        return Err(Nonsense::Foreign);
    }
    reply.advance(end + 2);
    reply.truncate(length);
    let cas = tokens.cas;
    Ok(Some((tokens.opaque, Reply::Found { cas, bytes: reply })))
}

/// How long the value behind this line is, if there is one.
fn value_length(line: &str) -> Result<Option<usize>, Nonsense> {
    let Some(rest) = line.strip_prefix("VA ") else {
        return Ok(None);
    };
    let length = rest
        .split(' ')
        .next()
        .and_then(|length| length.parse().ok());
    match length {
        Some(length) if length <= MAX_VALUE_BYTES => Ok(Some(length)),
        _ => Err(Nonsense::Foreign),
    }
}

fn parse(line: &str) -> Result<Tagged, Nonsense> {
    if let Some(what) = line.strip_prefix("SERVER_ERROR ") {
        return Ok((None, Reply::Refused(refusal(what))));
    }
    if line == "ERROR" || line.starts_with("CLIENT_ERROR ") {
        return Err(Nonsense::Unspoken);
    }
    let tokens = Tokens::of(line)?;
    let reply = match line.get(..2) {
        Some("HD") => Reply::Done { cas: tokens.cas },
        Some("EN" | "NF") => Reply::Absent,
        Some("NS" | "EX") => Reply::Changed,
        _ => return Err(Nonsense::Foreign),
    };
    match tokens.opaque {
        Some(_) => Ok((tokens.opaque, reply)),
        None => Err(Nonsense::Foreign),
    }
}

fn refusal(what: &str) -> Refusal {
    match what {
        _ if what.starts_with("object too large") => Refusal::TooLarge,
        _ if what.starts_with("out of memory") => Refusal::Full,
        _ => Refusal::Other,
    }
}

/// The flags of a reply.
#[derive(Default)]
struct Tokens {
    opaque: Option<u64>,
    cas: u64,
}

impl Tokens {
    fn of(line: &str) -> Result<Self, Nonsense> {
        let mut tokens = Self::default();
        for token in line.split(' ').skip(1) {
            let number = |digits: &str| digits.parse().map_err(|_| Nonsense::Foreign);
            if let Some(digits) = token.strip_prefix('O') {
                tokens.opaque = Some(number(digits)?);
            } else if let Some(digits) = token.strip_prefix('c') {
                tokens.cas = number(digits)?;
            }
        }
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Tagged>, Nonsense> {
        let mut buffer = BytesMut::from(bytes);
        let mut replies = Vec::new();
        while let Some(reply) = next(&mut buffer)? {
            replies.push(reply);
        }
        Ok(replies)
    }

    #[test]
    fn replies_are_read_whole_wherever_they_are_cut() {
        let stream = b"HD c5 O1\r\nVA 4 c6 O2\r\n\r\nEN\r\nEN O3\r\nNF c0 O4\r\nNS c0 O5\r\n\
                       EX c0 O6\r\nSERVER_ERROR object too large for cache\r\nHD O7\r\n";
        let found = Reply::Found {
            cas: 6,
            bytes: Bytes::from_static(b"\r\nEN"),
        };
        let expected = [
            (Some(1), Reply::Done { cas: 5 }),
            (Some(2), found),
            (Some(3), Reply::Absent),
            (Some(4), Reply::Absent),
            (Some(5), Reply::Changed),
            (Some(6), Reply::Changed),
            (None, Reply::Refused(Refusal::TooLarge)),
            (Some(7), Reply::Done { cas: 0 }),
        ];
        assert_eq!(all(stream).unwrap(), expected);
        let mut buffer = BytesMut::new();
        let mut replies = Vec::new();
        for byte in stream {
            buffer.extend_from_slice(&[*byte]);
            replies.extend(next(&mut buffer).unwrap());
        }
        assert_eq!(replies, expected);
    }

    #[test]
    fn what_is_no_reply_ends_the_connection() {
        let long = "x".repeat(MAX_LINE_BYTES);
        for (bytes, nonsense) in [
            ("ERROR\r\n", Nonsense::Unspoken),
            (
                "CLIENT_ERROR bad command line format\r\n",
                Nonsense::Unspoken,
            ),
            ("+OK\r\n", Nonsense::Foreign),
            ("\r\n", Nonsense::Foreign),
            ("HD\r\n", Nonsense::Foreign),
            ("HD c1\r\n", Nonsense::Foreign),
            ("HD cx O1\r\n", Nonsense::Foreign),
            ("VA x c1 O1\r\n", Nonsense::Foreign),
            ("VA 99999999999 c1 O1\r\n", Nonsense::Foreign),
            ("VA 1 c1 O1\r\nxyz", Nonsense::Foreign),
            (&long, Nonsense::Foreign),
        ] {
            assert_eq!(all(bytes.as_bytes()), Err(nonsense), "{bytes}");
        }
        assert_eq!(all(b"\xff\xfe\r\n"), Err(Nonsense::Foreign));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_or_take_more_than_there_is(
            bytes in "(VA |HD|EN|EX|NF|SERVER_ERROR |ERROR|O|c|[0-9]| |\r|\n|\r\n|\\PC){0,40}"
        ) {
            let mut buffer = BytesMut::from(bytes.as_bytes());
            while let Ok(Some((_, reply))) = next(&mut buffer) {
                if let Reply::Found { bytes: value, .. } = reply {
                    assert!(value.len() <= bytes.len());
                }
            }
        }
    }
}
