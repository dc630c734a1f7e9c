//! How the streams of a connection ended, for the frames that arrive too late.
//!
//! RFC 9113, section 5.1, treats a frame on a closed stream by how the stream was closed. Remembering the last few is
//! enough: what comes for an older one gets the mildest of the permitted answers.

const REMEMBERED: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Both sides sent END_STREAM.
    Complete,
    /// We want no more of it: frames may still be on their way, of DATA as much as the peer may send without credit.
    LeftByUs {
        awaited: u32,
    },
    ResetByPeer,
}

#[derive(Debug, Default)]
pub(super) struct History {
    /// Made when the first stream ends.
    streams: Option<Box<[(u32, Ended); REMEMBERED]>>,
}

impl History {
    /// Consecutive identifiers of one parity fall into different places.
    #[inline(always)]
    fn place(stream: u32) -> usize {
        (stream >> 1) as usize % REMEMBERED
    }

    #[inline]
    pub(super) fn record(&mut self, stream: u32, ended: Ended) {
        let streams = self.streams.get_or_insert_with(|| Box::new([(0, Ended::Complete); REMEMBERED]));
        streams[Self::place(stream)] = (stream, ended);
    }

    /// DATA on a stream that we left; whether so much was still to be awaited.
    pub(super) fn awaits(&mut self, stream: u32, bytes: u32) -> bool {
        let Some(streams) = &mut self.streams else { return false };
        match &mut streams[Self::place(stream)] {
            (held, Ended::LeftByUs { awaited }) if *held == stream && *awaited >= bytes => {
                *awaited -= bytes;
                true
            }
            _ => false,
        }
    }

    /// The peer resets a stream; whether that is a stream that we left, whose rest it need not send.
    pub(super) fn gave_up(&mut self, stream: u32) -> bool {
        let left = matches!(self.of(stream), Some(Ended::LeftByUs { .. }));
        if left {
            self.record(stream, Ended::ResetByPeer);
        }
        left
    }

    pub(super) fn of(&self, stream: u32) -> Option<Ended> {
        let (held, ended) = self.streams.as_ref()?[Self::place(stream)];
        (held == stream).then_some(ended)
    }
}
