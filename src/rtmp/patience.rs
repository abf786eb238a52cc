//! Patience: reading a publisher that nobody watches a few times a second instead of frame by frame.
//!
//! What a server with many publishers and few players spends is one wake-up and one read a frame. When nobody watches,
//! nothing is lost by taking several frames at once: the system keeps them until then, and who begins to watch gets the
//! group of pictures at once and the rest a moment later.

use std::{sync::LazyLock, time::Duration};

use tokio::time::Instant;

/// Time between two looks at a publisher that nobody watches.
const LOOK: Duration = Duration::from_millis(200);

/// Looks are taken together, so that a thread wakes once for many publishers.
const STEP: Duration = Duration::from_millis(20);

/// Bytes that end the wait at once: those of a fast publisher must not fill the system's buffer, or it would be slowed.
pub(super) const ENOUGH_BYTES: usize = 48 * 1024;

/// When to look at a publisher next.
pub(super) fn next_look(now: Instant) -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START + later(now.saturating_duration_since(*START))
}

fn later(since_start: Duration) -> Duration {
    let step = STEP.as_millis() as u64;
    let wanted = (since_start + LOOK).as_millis() as u64;
    Duration::from_millis(wanted - wanted % step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_are_looked_at_in_step() {
        let later = |millis| later(Duration::from_millis(millis)).as_millis();
        assert_eq!([0, 1, 19, 20, 21].map(later), [200, 200, 200, 220, 220]);
    }
}
