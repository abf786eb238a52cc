//! The table: medians over the rounds, one row a server, in Markdown.

use std::{fmt, time::Duration};

use crate::load::{Figures, Load};

/// All figures of a run.
pub(crate) struct Report {
    load: Load,
    rows: Vec<(String, Vec<Figures>)>,
}

impl Report {
    pub(crate) fn new(load: Load) -> Self {
        Self { load, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, server: &str, figures: Figures) {
        match self.rows.iter_mut().find(|(name, _)| name == server) {
            Some((_, rounds)) => rounds.push(figures),
            None => self.rows.push((server.to_owned(), vec![figures])),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load {
            publishers,
            players,
            bitrate,
            measured,
            stuck,
            idle,
        } = self.load;
        let rounds = self.rows.first().map_or(0, |(_, rounds)| rounds.len());
        let mbits = bitrate as f64 / 1e6;
        let seconds = measured.as_secs();
        writeln!(
            f,
            "{publishers} publishers, {players} players, {mbits} Mb/s a stream; medians of {rounds} × {seconds} s\n"
        )?;
        if stuck + idle > 0 {
            writeln!(
                f,
                "beside them {stuck} players that stop reading and {idle} that wait for a stream\n"
            )?;
        }
        writeln!(
            f,
            "| server | CPU-s | delivered GB | CPU-s per GB | latency p50 ms | p99 ms | max ms | join p50 ms | join max ms | RSS MiB | KiB per idle player | late players |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|---|")?;
        for (server, rounds) in &self.rows {
            let cpu = median(rounds, |round| round.cpu.as_secs_f64());
            let gigabytes = median(rounds, |round| round.delivered as f64 / 1e9);
            let per_gigabyte = match rounds.iter().all(|round| round.delivered > 0) {
                true => {
                    let ratio = |round: &Figures| round.cpu.as_secs_f64() / (round.delivered as f64 / 1e9);
                    format!("{:.2}", median(rounds, ratio))
                }
                false => "–".to_owned(),
            };
            let millis = |latency: fn(&Figures) -> Duration| median(rounds, |round| latency(round).as_secs_f64() * 1e3);
            let p50 = millis(|round| round.latency_p50);
            let p99 = millis(|round| round.latency_p99);
            let max = millis(|round| round.latency_max);
            let resident = median(rounds, |round| round.resident as f64 / f64::from(1 << 20));
            let join = millis(|round| round.join_p50);
            let join_max = millis(|round| round.join_max);
            let per_idle = median(rounds, |round| round.per_idle_player as f64 / 1024.0);
            let stalled = median(rounds, |round| round.stalled as f64);
            writeln!(
                f,
                "| {server} | {cpu:.2} | {gigabytes:.3} | {per_gigabyte} | {p50:.1} | {p99:.1} | {max:.1} | {join:.1} | {join_max:.1} | {resident:.1} | {per_idle:.1} | {stalled:.0} |"
            )?;
        }
        Ok(())
    }
}

fn median(rounds: &[Figures], figure: impl Fn(&Figures) -> f64) -> f64 {
    let mut figures: Vec<_> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => figures[odd / 2],
        even => (figures[even / 2 - 1] + figures[even / 2]) / 2.0,
    }
}
