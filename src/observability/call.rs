//! One call beside its event: its request id, its trace, its deadline.

use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use crate::observability::Meter;

/// One call; the default is one outside Lambda, without a deadline.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// Lambda's request id; empty without Lambda.
    pub request_id: String,
    /// The X-Ray trace header as received.
    pub trace: Option<String>,
    /// When Lambda ends the sandbox; `None`: never.
    pub deadline: Option<SystemTime>,
    /// Collects the call's measurements; clones of a call share it.
    pub meter: Meter,
}

/// Lambda's limit for a call.
const LONGEST_CALL: Duration = Duration::from_secs(900);

/// The part of a call that its tasks carry along.
#[derive(Debug, Clone, Default)]
struct Served {
    request_id: Option<String>,
    trace: Option<String>,
}

tokio::task_local! {
    /// The call that a task works for.
    static SERVED: Served;
}

fn served() -> Served {
    SERVED.try_with(Clone::clone).unwrap_or_default()
}

/// The trace header of the call that this task works for, for requests made on its behalf.
pub fn trace() -> Option<String> {
    served().trace
}

/// The id of the call that this task works for, for its log lines; `None` without Lambda.
pub fn request_id() -> Option<String> {
    served().request_id
}

/// Wraps `work` for another task, which then works for this task's call.
pub fn traced<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    SERVED.scope(served(), work)
}

impl Call {
    /// Runs `work` for this call, so that [`trace`] and [`request_id`] return its values. A task or thread that it spawns
    /// does not inherit them, unless it is [`traced`].
    pub async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        let request_id = (!self.request_id.is_empty()).then(|| self.request_id.clone());
        SERVED.scope(Served { request_id, trace: self.trace.clone() }, work).await
    }

    /// The time until the deadline; zero after it, `None` without one.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

impl From<&lambda_runtime::Context> for Call {
    fn from(context: &lambda_runtime::Context) -> Self {
        Self {
            request_id: context.request_id.clone(),
            trace: context.xray_trace_id.clone(),
            deadline: meant(context.deadline()),
            meter: Meter::default(),
        }
    }
}

/// `None` for a deadline that passed longer ago than any call may take: cargo-lambda's emulator sends the constant
/// 600000, ten minutes after the beginning of 1970.
fn meant(deadline: SystemTime) -> Option<SystemTime> {
    (deadline > SystemTime::now() - LONGEST_CALL).then_some(deadline)
}

/// When work must stop, so that time is left to report its progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deadline {
    soft: Option<Instant>,
    hard: Option<Instant>,
}

impl Deadline {
    /// The deadline of `call`: no new work begins in the last 15 % of the remaining time (20 s at most), and work under
    /// way is dropped in the last 5 % (2 s at most).
    pub fn of(call: &Call) -> Self {
        let Some(remaining) = call.remaining() else { return Self::default() };
        let before = |share: f64, longest: u64| {
            let reserve = remaining.mul_f64(share).min(Duration::from_secs(longest));
            Some(Instant::now() + remaining.saturating_sub(reserve))
        };
        Self { soft: before(0.15, 20), hard: before(0.05, 2) }
    }

    /// Whether it is too late to begin anything.
    pub fn is_soon(&self) -> bool {
        self.soft.is_some_and(|soft| Instant::now() >= soft)
    }

    /// When work under way is dropped.
    pub fn hard(&self) -> Option<Instant> {
        self.hard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_leaves_time_to_tell_how_far_work_came() {
        assert!(!Deadline::of(&Call::default()).is_soon());
        let call =
            |left: u64| Call { deadline: Some(SystemTime::now() + Duration::from_secs(left)), ..Call::default() };
        let long = Deadline::of(&call(900));
        let (soft, hard) = (long.soft.unwrap() - Instant::now(), long.hard.unwrap() - Instant::now());
        assert!((878..=880).contains(&soft.as_secs()) && (896..=898).contains(&hard.as_secs()), "{soft:?} {hard:?}");
        assert!(Deadline::of(&call(0)).is_soon());
    }

    #[test]
    fn what_cannot_be_a_deadline_is_none() {
        assert_eq!(meant(SystemTime::UNIX_EPOCH + Duration::from_secs(600)), None);
        let (over, ahead) = (SystemTime::now() - Duration::from_secs(60), SystemTime::now() + Duration::from_secs(60));
        assert_eq!((meant(over), meant(ahead)), (Some(over), Some(ahead)));
    }
}
