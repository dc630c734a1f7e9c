//! Monotonic time in nanoseconds, and a timer that keeps it to tens of microseconds (tokio's own has milliseconds).

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

const NANOSECONDS: u64 = 1_000_000_000;

pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * NANOSECONDS + time.tv_nsec as u64
}

pub(crate) struct Timer {
    descriptor: AsyncFd<OwnedFd>,
}

impl Timer {
    #[expect(deprecated, reason = "an OwnedFd cannot be closed behind the registration; `register` is unsafe")]
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self { descriptor: AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)? })
    }

    /// Returns at `due` (nanoseconds of [`now`]), or at once if that has passed.
    pub(crate) async fn until(&self, due: u64) -> io::Result<()> {
        if now() >= due {
            return Ok(());
        }
        let value = Timespec { tv_sec: (due / NANOSECONDS) as i64, tv_nsec: (due % NANOSECONDS) as i64 };
        let setting = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(self.descriptor.get_ref(), TimerfdTimerFlags::ABSTIME, &setting)?;
        while now() < due {
            let mut ready = self.descriptor.readable().await?;
            let mut expirations = [0; 8];
            let _ = rustix::io::read(self.descriptor.get_ref(), &mut expirations);
            ready.clear_ready();
        }
        Ok(())
    }
}
