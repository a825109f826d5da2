//! Sleeping until a moment of the wall clock.
//!
//! On Linux by a timer of the kernel that runs on the wall clock itself: it
//! wakes when that moment comes, however the clock got there, after a suspend at
//! once, and when somebody sets the clock (`TFD_TIMER_CANCEL_ON_SET`,
//! timerfd_create(2)). Elsewhere a plain sleep, looked at again every minute.

use wardroom_core::clock::Timestamp;

/// Why a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awake {
    /// The moment came.
    Time,
    /// Somebody set the clock.
    ClockSet,
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::os::fd::OwnedFd;

    use rustix::io::Errno;
    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
    use tokio::io::unix::AsyncFd;
    use wardroom_core::clock::Timestamp;

    use super::Awake;

    /// Year 2255: as far as the kernel counts nanoseconds.
    const NEVER_MS: i64 = 9_000_000_000_000;

    /// A timer of the kernel.
    #[derive(Debug)]
    pub(in super::super) struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        #[expect(deprecated, reason = "its successor is unsafe, for descriptors that are not owned; this one is")]
        pub(in super::super) fn new() -> std::io::Result<Self> {
            let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            Ok(Self(AsyncFd::new(timer)?))
        }

        /// Sleeps until a moment; without one, until the clock is set.
        pub(in super::super) async fn until(&self, at: Option<Timestamp>) -> std::io::Result<Awake> {
            let at = at.map_or(NEVER_MS, Timestamp::ms).clamp(1, NEVER_MS);
            let value = Timespec { tv_sec: at / 1000, tv_nsec: (at % 1000) * 1_000_000 };
            let timer = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
            let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
            match timerfd_settime(self.0.get_ref(), flags, &timer) {
                Ok(_) => {}
                // Set since it was asked last: the timer is armed all the same.
                Err(Errno::CANCELED) => return Ok(Awake::ClockSet),
                Err(error) => return Err(error.into()),
            }
            loop {
                let mut ready = self.0.readable().await?;
                let mut expirations = [0; 8];
                match rustix::io::read(self.0.get_ref(), &mut expirations) {
                    Ok(_) => return Ok(Awake::Time),
                    Err(Errno::CANCELED) => return Ok(Awake::ClockSet),
                    Err(Errno::AGAIN) => ready.clear_ready(),
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::time::Duration;

    use wardroom_core::clock::{Clock, SystemClock, Timestamp};

    use super::Awake;

    /// How long a sleep may go on before the clock is looked at again.
    const LOOK_EVERY: Duration = Duration::from_secs(60);

    /// A sleep.
    #[derive(Debug)]
    pub(in super::super) struct Timer;

    impl Timer {
        pub(in super::super) fn new() -> std::io::Result<Self> {
            Ok(Self)
        }

        pub(in super::super) async fn until(&self, at: Option<Timestamp>) -> std::io::Result<Awake> {
            loop {
                let (now, rest) = (SystemClock.now(), at.map_or(LOOK_EVERY, |at| Duration::from_millis(at.ms_since(SystemClock.now()))));
                if at.is_some_and(|at| at <= now) {
                    return Ok(Awake::Time);
                }
                tokio::time::sleep(rest.min(LOOK_EVERY)).await;
                // A minute that took much longer or shorter: asleep, or set.
                let passed = SystemClock.now().ms() - now.ms();
                if (passed - i64::try_from(rest.min(LOOK_EVERY).as_millis()).unwrap_or(0)).abs() > 5000 {
                    return Ok(Awake::ClockSet);
                }
            }
        }
    }
}

pub(super) use kernel::Timer;

/// The earlier of two moments, where there are any.
pub(super) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use wardroom_core::clock::{Clock, SystemClock};

    use super::*;

    #[tokio::test]
    async fn a_moment_that_passed_wakes_at_once_and_one_ahead_when_it_comes() {
        let timer = Timer::new().unwrap();
        let now = SystemClock.now();
        assert_eq!(timer.until(Some(now)).await.unwrap(), Awake::Time);
        assert_eq!(timer.until(Some(Timestamp::from_ms(-5))).await.unwrap(), Awake::Time);
        let ahead = Timestamp::from_ms(now.ms() + 40);
        assert_eq!(timer.until(Some(ahead)).await.unwrap(), Awake::Time);
        assert!(SystemClock.now() >= ahead);
    }
}
