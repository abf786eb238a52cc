//! Graphs: a pipeline as a picture, drawn by Graphviz where it is installed.

use std::{io, process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// How long Graphviz may take: large graphs take seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Draws what GStreamer wrote in Graphviz' language. The text goes to the program's standard input and nowhere else.
pub async fn svg(dot: &str) -> Result<String, GraphError> {
    let mut child = Command::new("dot")
        .arg("-Tsvg")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => GraphError::NotInstalled,
            _ => GraphError::Failed(error.to_string()),
        })?;
    let input = child.stdin.take();
    let drawn = async {
        if let Some(mut input) = input {
            // It fails when the program has ended, and then the program's end tells more.
            let _ = input.write_all(dot.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = match timeout(PATIENCE, drawn).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(GraphError::Failed(error.to_string())),
        Err(_) => return Err(GraphError::Failed(format!("it took longer than {PATIENCE:?}"))),
    };
    if !output.status.success() {
        return Err(GraphError::Failed(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(|error| GraphError::Failed(error.to_string()))
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Graphviz is not there.
    #[error("Graphviz is not installed; on Debian and Ubuntu: apt install graphviz")]
    NotInstalled,
    /// Graphviz does not draw it.
    #[error("Graphviz failed: {0}")]
    Failed(String),
}
