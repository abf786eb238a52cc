//! Stopping in order: first nothing new, then pipelines finish their files, then clients are told.
//!
//! Each stage has a token that its tasks watch and a tracker that knows when they are done. All stages share one
//! deadline, so a pipeline that hangs cannot keep the process.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

/// One stage: the tasks that stop together.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    /// Cancelled when the stage is to stop.
    pub stop: CancellationToken,
    /// Knows the stage's tasks.
    pub tasks: TaskTracker,
}

/// The stages of a server, in the order they stop.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// Takes new connections.
    pub accepting: Stage,
    /// Feeds and drains pipelines.
    pub pipelines: Stage,
    /// Serves clients.
    pub connections: Stage,
}

impl Stages {
    /// Stops stage after stage. True if all tasks ended within the deadline.
    pub async fn stop(&self, deadline: Duration) -> bool {
        let deadline = Instant::now() + deadline;
        let stages = [
            ("accepting", &self.accepting),
            ("pipelines", &self.pipelines),
            ("connections", &self.connections),
        ];
        let mut all_ended = true;
        for (name, stage) in stages {
            stage.stop.cancel();
            stage.tasks.close();
            match timeout_at(deadline, stage.tasks.wait()).await {
                Ok(()) => info!(stage = name, "stopped"),
                Err(_) => {
                    warn!(stage = name, tasks = stage.tasks.len(), "tasks did not stop in time");
                    all_ended = false;
                }
            }
        }
        all_ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn clients_are_closed_only_after_the_pipelines_are_done() {
        let stages = Stages::default();
        let (pipelines, connections) = (stages.pipelines.stop.clone(), stages.connections.stop.clone());
        stages.pipelines.tasks.spawn(async move {
            pipelines.cancelled().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert!(!connections.is_cancelled());
        });
        assert!(stages.stop(Duration::from_secs(10)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_hangs_does_not_keep_the_process() {
        let stages = Stages::default();
        stages.pipelines.tasks.spawn(std::future::pending::<()>());
        assert!(!stages.stop(Duration::from_secs(10)).await);
        assert!(stages.connections.stop.is_cancelled());
    }
}
