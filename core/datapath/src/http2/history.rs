//! How the streams of a connection ended, for the frames that arrive too late.
//!
//! RFC 9113, section 5.1, treats a frame on a closed stream by how the stream was closed. Remembering the last few is
//! enough: what comes for an older one gets the mildest of the permitted answers.

const REMEMBERED: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Both sides sent END_STREAM.
    Complete,
    /// We reset it: frames may still be on their way.
    ResetByUs,
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

    pub(super) fn of(&self, stream: u32) -> Option<Ended> {
        let (held, ended) = self.streams.as_ref()?[Self::place(stream)];
        (held == stream).then_some(ended)
    }
}
