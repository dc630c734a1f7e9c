//! Limits on what a peer may make us do for nothing.
//!
//! Each kind of abuse is cheap to send and costs us work without a request being served: resets of streams just opened
//! (CVE-2023-44487), errors that make us reset (CVE-2025-8671), PING, SETTINGS, PRIORITY, empty and tiny frames
//! (CVE-2019-9511 to 9518). Honest peers do all of them now and then, so each kind has a bucket that fills again with time.
//! The sizes are nghttp2's, except that a proxy in front of many users may cancel more often than one browser.

use super::{ConnectionError, ErrorCode};

/// What a peer did; the name is the label of the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// The peer reset a stream, or made us reset it.
    Reset,
    /// A frame that asks for work and moves nothing.
    Glitch,
}

impl Offence {
    pub const fn name(self) -> &'static str {
        match self {
            Offence::Reset => "reset",
            Offence::Glitch => "glitch",
        }
    }
}

const RESET_BURST: u32 = 1_000;
const RESETS_PER_SECOND: u64 = 100;
const GLITCH_BURST: u32 = 10_000;
const GLITCHES_PER_SECOND: u64 = 330;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: u32,
    filled_ms: u64,
}

impl Bucket {
    #[inline]
    fn take(&mut self, now_ms: u64, burst: u32, per_second: u64) -> bool {
        if self.tokens > 0 {
            self.tokens -= 1;
            return true;
        }
        let earned = now_ms.saturating_sub(self.filled_ms).saturating_mul(per_second) / 1000;
        self.filled_ms = now_ms;
        self.tokens = (earned.min(u64::from(burst))) as u32;
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        true
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    resets: Bucket,
    glitches: Bucket,
}

impl Guard {
    pub(super) fn new(now_ms: u64) -> Self {
        Guard {
            resets: Bucket { tokens: RESET_BURST, filled_ms: now_ms },
            glitches: Bucket { tokens: GLITCH_BURST, filled_ms: now_ms },
        }
    }

    /// Counts one offence; an error once the peer has had its share.
    #[inline]
    pub(super) fn count(&mut self, offence: Offence, now_ms: u64) -> Result<(), ConnectionError> {
        let (allowed, reason) = match offence {
            Offence::Reset => (self.resets.take(now_ms, RESET_BURST, RESETS_PER_SECOND), "too many streams reset"),
            Offence::Glitch => {
                (self.glitches.take(now_ms, GLITCH_BURST, GLITCHES_PER_SECOND), "too many frames that move nothing")
            }
        };
        if allowed { Ok(()) } else { Err(ConnectionError::new(ErrorCode::ENHANCE_YOUR_CALM, reason)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_does_not() {
        let mut guard = Guard::new(0);
        for _ in 0..RESET_BURST {
            guard.count(Offence::Reset, 1).unwrap();
        }
        assert_eq!(guard.count(Offence::Reset, 1).unwrap_err().code, ErrorCode::ENHANCE_YOUR_CALM);
    }

    #[test]
    fn the_bucket_fills_again() {
        let mut guard = Guard::new(0);
        for second in 0..100 {
            for _ in 0..RESETS_PER_SECOND {
                guard.count(Offence::Reset, second * 1000 + 999).unwrap();
            }
        }
    }
}
