//! `streammill-bench`: publishers and players over loopback against a server, and what that costs the server.
//!
//! The load is synthetic but exact: frames of a fixed size at a fixed rate, each with the time it was sent, so that the
//! players can tell the latency of every picture. The server is measured from outside (`/proc`), so any RTMP server can
//! be measured by the same yardstick; `--beside nginx` runs nginx-rtmp in turn with streammill in one go, because figures
//! from two runs on a shared machine cannot be compared.

#![allow(clippy::print_stdout, reason = "a command line program's output")]

mod client;
mod load;
mod process;
mod report;
mod servers;
mod signal;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;

use self::{
    load::Load,
    report::Report,
    servers::{Binaries, Kind, Running},
};

/// Loads RTMP servers and reports CPU per delivered byte, latency and memory.
#[derive(Debug, Parser)]
struct Args {
    /// Publishers, each with a stream of its own.
    #[arg(long, default_value_t = 1)]
    publishers: usize,
    /// Players, spread evenly over the streams.
    #[arg(long, default_value_t = 100)]
    players: usize,
    /// Players beside them that join the first stream, read one picture and then nothing more.
    #[arg(long, default_value_t = 0)]
    stuck: usize,
    /// Players beside them that wait for a stream nobody publishes; what each costs in memory is reported.
    #[arg(long, default_value_t = 0)]
    idle: usize,
    /// Bits per second of each stream.
    #[arg(long, default_value_t = 1_000_000)]
    bitrate: u64,
    /// Seconds measured in each round, after everyone has joined.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Rounds of each server, in turn.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// The streammill binary to start.
    #[arg(long, default_value = "target/release/streammill")]
    streammill: PathBuf,
    /// The SRS binary to start.
    #[arg(long, default_value = "srs")]
    srs: PathBuf,
    /// Also measure these servers, in turn with streammill, such as `nginx,srs`.
    #[arg(long, value_delimiter = ',')]
    beside: Vec<Kind>,
    /// Measure a server that is running already, at rtmp://HOST:PORT/APP; needs --pid.
    #[arg(long, requires = "pid")]
    url: Option<String>,
    /// Its process id; children are counted with it.
    #[arg(long)]
    pid: Option<u32>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let limit = rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of open files")?;
    let needed = 2 * (args.players + args.publishers + args.stuck + args.idle) as u64 + 64;
    anyhow::ensure!(
        limit >= needed,
        "{needed} open files are needed, the system allows {limit}"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(run(args))
}

async fn run(args: Args) -> anyhow::Result<()> {
    let load = Load {
        publishers: args.publishers,
        players: args.players,
        stuck: args.stuck,
        idle: args.idle,
        bitrate: args.bitrate,
        measured: Duration::from_secs(args.seconds),
    };
    let mut report = Report::new(load);
    if let (Some(url), Some(pid)) = (&args.url, args.pid) {
        for _ in 0..args.rounds {
            report.add(url, load.run(url, pid).await?);
        }
    } else {
        let kinds: Vec<_> = [Kind::Streammill].into_iter().chain(args.beside).collect();
        let binaries = Binaries {
            streammill: args.streammill,
            srs: args.srs,
        };
        for round in 0..args.rounds {
            for kind in &kinds {
                eprintln_progress(round + 1, args.rounds, kind.name());
                let server = Running::start(*kind, &binaries).await?;
                let figures = load.run(server.url(), server.pid()).await;
                let figures = figures.with_context(|| format!("{}\n{}", kind.name(), server.log()))?;
                report.add(kind.name(), figures);
            }
        }
    }
    print!("{report}");
    Ok(())
}

#[allow(clippy::print_stderr, reason = "progress of a command line program")]
fn eprintln_progress(round: usize, rounds: usize, server: &str) {
    eprintln!("round {round}/{rounds}: {server}");
}
