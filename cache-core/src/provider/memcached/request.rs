//! Meta commands, as they are written to a connection.

/// One command. Each is answered by exactly one reply, which brings its opaque back.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    /// Reads an item: its CAS number, and its bytes if they are wanted.
    Get { name: &'a str, value: bool },
    /// Stores an item under a condition.
    Put {
        name: &'a str,
        bytes: &'a [u8],
        only: Only,
        /// After how many seconds the server may drop it; 0 for never.
        seconds: u32,
    },
    /// Drops an item, if it still is the one with this CAS number.
    Delete { name: &'a str, cas: Option<u64> },
}

/// When an item is stored: never unconditionally, see the module's rules.
#[derive(Clone, Copy)]
pub(super) enum Only {
    /// If there is none.
    IfAbsent,
    /// If it still has this CAS number.
    IfStill(u64),
}

impl<'a> Request<'a> {
    /// Reads the item with its bytes.
    pub(super) fn get(name: &'a str) -> Self {
        Self::Get { name, value: true }
    }

    /// Reads the item's CAS number alone.
    pub(super) fn version(name: &'a str) -> Self {
        Self::Get { name, value: false }
    }

    pub(super) fn write(&self, opaque: u64, out: &mut Vec<u8>) {
        match self {
            Self::Get { name, value } => {
                let value = if *value { " v" } else { "" };
                out.extend_from_slice(format!("mg {name} c{value} O{opaque}\r\n").as_bytes());
            }
            Self::Put {
                name,
                bytes,
                only,
                seconds,
            } => {
                let (length, only) = (bytes.len(), only.flag());
                let line = format!("ms {name} {length} c {only} T{seconds} O{opaque}\r\n");
                out.extend_from_slice(line.as_bytes());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Self::Delete { name, cas } => {
                let only = cas.map_or_else(String::new, |cas| format!("C{cas} "));
                out.extend_from_slice(format!("md {name} {only}O{opaque}\r\n").as_bytes());
            }
        }
    }
}

impl Only {
    fn flag(self) -> String {
        match self {
            Self::IfAbsent => "ME".to_owned(),
            Self::IfStill(cas) => format!("C{cas}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_carries_its_opaque() {
        let put = |only| Request::Put {
            name: "k",
            bytes: b"\r\n",
            only,
            seconds: 9,
        };
        for (request, line) in [
            (Request::get("k"), "mg k c v O7\r\n"),
            (Request::version("k"), "mg k c O7\r\n"),
            (put(Only::IfAbsent), "ms k 2 c ME T9 O7\r\n\r\n\r\n"),
            (put(Only::IfStill(3)), "ms k 2 c C3 T9 O7\r\n\r\n\r\n"),
            (
                Request::Delete {
                    name: "k",
                    cas: None,
                },
                "md k O7\r\n",
            ),
            (
                Request::Delete {
                    name: "k",
                    cas: Some(3),
                },
                "md k C3 O7\r\n",
            ),
        ] {
            let mut out = Vec::new();
            request.write(7, &mut out);
            assert_eq!(out, line.as_bytes());
        }
    }
}
