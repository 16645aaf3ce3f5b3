//! What the Runtime API tells of one call beside its event: who asks, and until when an answer counts.

use std::time::{Duration, SystemTime};

use crate::metrics::Meter;

/// One call; the default is one without Lambda around it, which may take its time.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// Lambda's request id; empty without Lambda.
    pub request_id: String,
    /// The X-Ray trace header, as it came.
    pub trace: Option<String>,
    /// When Lambda ends the sandbox; `None`: never.
    pub deadline: Option<SystemTime>,
    /// Takes the call's figures; clones of a call share it.
    pub meter: Meter,
}

tokio::task_local! {
    /// The trace header of the call that a task works for.
    static TRACE: Option<String>;
}

/// The trace header of the call that this task works for, for requests made on its behalf.
pub fn trace() -> Option<String> {
    TRACE.try_with(Clone::clone).ok().flatten()
}

impl Call {
    /// Has `work` done as this call's, so that [`trace`] finds its header. A task or thread that it spawns does
    /// not inherit it.
    pub async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        TRACE.scope(self.trace.clone(), work).await
    }

    /// What is left until the deadline; zero after it, `None` without one.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

impl From<&lambda_runtime::Context> for Call {
    fn from(context: &lambda_runtime::Context) -> Self {
        Self {
            request_id: context.request_id.clone(),
            trace: context.xray_trace_id.clone(),
            deadline: Some(context.deadline()),
            meter: Meter::default(),
        }
    }
}
