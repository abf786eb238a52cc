//! The `streammill` command.

#![allow(clippy::print_stdout, reason = "standard output is for what the user asked for")]

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use streammill::{
    config::{self, Config},
    pipeline::encoder::probe,
    report, server, telemetry,
};

/// A media server for workstations with hardware encoders.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server. Without a file: app `live` on loopback.
    Serve(Files),
    /// Checks the configuration and every template it can use, and says what is wrong.
    Check(Files),
    /// Lists the templates, or shows one with its parameters.
    Templates {
        /// The template to show.
        name: Option<String>,
        #[command(flatten)]
        files: Files,
    },
    /// Tries every encoder that is installed, and lists what works.
    Encoders {
        /// Print JSON, as the server answers at /api/v1/encoders.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        files: Files,
    },
    /// Encodes a few frames with an element and says what came of it. The server runs this in a process of its own.
    #[command(name = probe::COMMAND, hide = true)]
    ProbeEncoder {
        /// The element.
        element: String,
        /// Its row of the encoder map, as JSON.
        #[arg(long)]
        row: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Files {
    /// A configuration file; later ones override earlier ones.
    #[arg(short, long = "config", value_name = "FILE")]
    config: Vec<PathBuf>,
}

impl Files {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(config::load(&self.config, std::env::vars().collect())?)
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "the last word to the user")]
            {
                eprintln!("streammill: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(files) => {
            let config = files.load()?;
            telemetry::start().context("cannot start logging")?;
            let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
            let served = runtime.block_on(server::run(config));
            // A thread that hangs in a driver must not keep the process.
            runtime.shutdown_background();
            Ok(if served? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Check(files) => {
            let config = files.load()?;
            let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
            let checked = runtime.block_on(report::check(&config, progress));
            runtime.shutdown_background();
            let report = checked?;
            print!("{}", report.text());
            Ok(if report.is_good() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Command::Templates { name, files } => {
            print!("{}", report::templates(&files.load()?, name.as_deref())?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Encoders { json, files } => {
            let config = files.load()?;
            let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
            let listed = runtime.block_on(report::encoders(&config, json));
            runtime.shutdown_background();
            print!("{}", listed?);
            Ok(ExitCode::SUCCESS)
        }
        Command::ProbeEncoder { element, row } => {
            print!(
                "{}",
                probe::command(&element, row.as_deref()).map_err(anyhow::Error::msg)?
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[allow(clippy::print_stderr, reason = "progress for the person who waits")]
fn progress(template: &str) {
    eprintln!("trying template {template}…");
}
