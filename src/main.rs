//! The `streammill` command.

#![allow(clippy::print_stdout, reason = "standard output is for what the user asked for")]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use streammill::{
    config::{self, Config, LocalSocket},
    pipeline::{
        self,
        encoder::probe,
        library::Library,
        preview::{Request, preview},
        template::SCHEMA,
    },
    report, server, telemetry,
};
use tokio::signal::unix::{SignalKind, signal};

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
        /// Draw it, as a picture in SVG, to a file or standard output.
        #[arg(long, value_name = "FILE", requires = "name", num_args = 0..=1)]
        graph: Option<Option<PathBuf>>,
        /// Print the JSON schema of template files, for editors.
        #[arg(long, conflicts_with_all = ["name", "graph"])]
        schema: bool,
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
    /// Runs one pipeline for a server, which starts it.
    #[command(hide = true)]
    Worker,
    /// Shows a stream of the running server in a window.
    Preview(Preview),
}

#[derive(Debug, Args)]
struct Preview {
    /// The stream.
    #[arg(value_name = "APP/NAME")]
    stream: String,
    /// Show what this template makes of it.
    #[arg(long)]
    template: Option<String>,
    /// The GStreamer element that shows the pictures; fakesink decodes them without a window.
    #[arg(long, value_name = "ELEMENT")]
    sink: Option<String>,
    /// The server's local socket, if it is not where servers of this user open it.
    #[arg(long, value_name = "PATH", env = "STREAMMILL_SOCKET")]
    socket: Option<PathBuf>,
    /// Stop so long after the first picture.
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
    #[command(flatten)]
    files: Files,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

impl Preview {
    fn request(self) -> anyhow::Result<Request> {
        let config = self.files.load()?;
        let template = match &self.template {
            Some(name) => {
                let (library, problems) = Library::load(&config.templates.paths);
                let found = library.find(name).map(|entry| entry.template.clone());
                // A file that cannot be read may be the very one.
                let unread = || {
                    problems
                        .iter()
                        .map(|problem| format!("\n{problem}"))
                        .collect::<String>()
                };
                Some(found.map_err(|error| anyhow::anyhow!("{error}{}", unread()))?)
            }
            None => None,
        };
        let configured = match config.rtmp.local_socket {
            LocalSocket::At(path) => Some(path),
            LocalSocket::Auto | LocalSocket::Off => None,
        };
        Ok(Request {
            stream: self.stream,
            template,
            sink: self.sink,
            socket: self.socket.filter(|path| !path.as_os_str().is_empty()).or(configured),
            length: self.seconds,
        })
    }
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
        Command::Worker => {
            telemetry::start_worker().context("cannot start logging")?;
            pipeline::worker::child::run()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Templates { schema: true, .. } => {
            print!("{SCHEMA}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Templates {
            name: Some(name),
            graph: Some(to),
            files,
            ..
        } => {
            let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
            let picture = runtime.block_on(report::graph(&files.load()?, &name))?;
            match to {
                Some(path) => {
                    std::fs::write(&path, picture).with_context(|| format!("cannot write {}", path.display()))?
                }
                None => print!("{picture}"),
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Templates { name, files, .. } => {
            print!("{}", report::templates(&files.load()?, name.as_deref())?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Preview(asked) => {
            let request = asked.request()?;
            pipeline::start()?;
            let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
            let shown = runtime.block_on(async {
                let (mut interrupt, mut terminate) =
                    (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
                let stop = async {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                };
                anyhow::Ok(preview(&request, stop, |line| println!("{line}")).await?)
            });
            runtime.shutdown_background();
            shown.map(|()| ExitCode::SUCCESS)
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
