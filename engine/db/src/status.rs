//! Which status follows which: the drawing of
//! [`Status`](wardroom_core::execution::Status), as a table.

use wardroom_core::execution::Status;

/// The statuses that may become this one.
pub(crate) const fn before(status: Status) -> &'static [Status] {
    match status {
        Status::Queued => &[],
        Status::Running | Status::Skipped => &[Status::Queued],
        Status::Cancelled => &[Status::Queued, Status::Running],
        Status::AwaitingApproval | Status::Success | Status::Failed | Status::Timeout | Status::Interrupted => &[Status::Running],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_final_never_moves_again() {
        for to in Status::ALL {
            assert!(before(to).iter().all(|from| !from.is_final()), "{to}");
        }
    }
}
