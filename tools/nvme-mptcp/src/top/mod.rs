// SPDX-License-Identifier: GPL-2.0

//! What moves right now, by NIC and by controller.

mod draw;
mod rates;

use crate::advice;
use crate::cli;
use crate::facts::Facts;
use crate::table::out;
use anyhow::{Context, Result};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::DefaultTerminal;
use rates::Rates;
use std::io::{stdin, stdout, IsTerminal};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Two looks, and what has moved between them.
struct Watch {
    facts: Facts,
    at: Instant,
}

impl Watch {
    fn begin() -> Result<Self> {
        Ok(Self {
            facts: Facts::gather()?,
            at: Instant::now(),
        })
    }

    fn next(&mut self) -> Result<Rates> {
        let now = Self::begin()?;
        let seconds = now.at.duration_since(self.at).as_secs_f64();
        let rates = Rates::between(&self.facts, &now.facts, seconds);
        *self = now;
        Ok(rates)
    }
}

fn once(interval: Duration) -> Result<()> {
    let mut watch = Watch::begin()?;
    sleep(interval);
    out(&draw::text(&watch.next()?))
}

fn quits(event: &Event) -> bool {
    let Event::Key(key) = event else {
        return false;
    };
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press
        && (control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

fn watch(terminal: &mut DefaultTerminal, interval: Duration) -> Result<()> {
    let mut watch = Watch::begin()?;
    let mut rates = watch.next()?;
    loop {
        terminal.draw(|frame| draw::draw(frame, &rates))?;
        let due = Instant::now() + interval;
        // Whatever happens in the terminal, as another size, is drawn at once.
        while event::poll(due.saturating_duration_since(Instant::now()))? {
            if quits(&event::read()?) {
                return Ok(());
            }
            terminal.draw(|frame| draw::draw(frame, &rates))?;
        }
        rates = watch.next()?;
    }
}

pub fn run(options: &cli::Top) -> Result<()> {
    let interval = Duration::from_secs_f64(options.interval);
    if options.once {
        return once(interval);
    }
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return Err(advice::error(
            "top wants a terminal",
            "nvme-mptcp top --once, which prints one frame as text",
        ));
    }
    let mut terminal = ratatui::try_init().context("cannot set up the terminal")?;
    let result = watch(&mut terminal, interval);
    ratatui::restore();
    result
}
