// SPDX-License-Identifier: GPL-2.0

//! One frame, for a terminal or as text.

use super::rates::{Rate, Rates};
use crate::table::{bytes, microseconds, table};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Row, Table};
use ratatui::Frame;

const BAR: usize = 20;
const HEADINGS: [&str; 7] = [
    ">PATHS",
    ">SENT/s",
    ">RECEIVED/s",
    ">RETRANS/s",
    ">RTT",
    ">PDUS/BATCH",
    "SHARE",
];

/// In the order of the headings; `most` fills the bar.
fn cells(rate: &Rate, most: f64) -> Vec<String> {
    let moved = rate.sent + rate.received;
    let full = if most > 0.0 {
        (moved / most * BAR as f64).round() as usize
    } else {
        0
    };
    vec![
        rate.name.clone(),
        rate.paths.to_string(),
        bytes(rate.sent as u64),
        bytes(rate.received as u64),
        format!("{:.1}", rate.retransmits),
        match rate.rtt_us {
            None => "-".into(),
            Some((least, most)) if least == most => microseconds(most),
            Some((least, most)) => format!("{} to {}", microseconds(least), microseconds(most)),
        },
        rate.batch.map_or("-".into(), |batch| format!("{batch:.1}")),
        "#".repeat(full.min(BAR)),
    ]
}

fn rows(rates: &[Rate]) -> Vec<Vec<String>> {
    let most = rates
        .iter()
        .map(|rate| rate.sent + rate.received)
        .fold(0.0, f64::max);
    rates.iter().map(|rate| cells(rate, most)).collect()
}

fn headings(what: &'static str) -> Vec<&'static str> {
    [&[what][..], &HEADINGS].concat()
}

pub fn text(rates: &Rates) -> String {
    if rates.owners.is_empty() && rates.nics.is_empty() {
        return "no NVMe over TCP or MPTCP: no controller, no port of a target that hosts use\n"
            .into();
    }
    let mut text = table(&headings("NIC"), rows(&rates.nics));
    text += "\n";
    text += &table(&headings("CONTROLLER"), rows(&rates.owners));
    for why in &rates.blind {
        text += &format!("not known: {why}\n");
    }
    text
}

fn block<'a>(what: &'static str, rates: &[Rate]) -> Table<'a> {
    let widths = [
        Constraint::Min(12),
        Constraint::Length(6),
        Constraint::Length(10),
        Constraint::Length(11),
        Constraint::Length(10),
        Constraint::Length(18),
        Constraint::Length(10),
        Constraint::Length(BAR as u16),
    ];
    // As in the text: numbers to the right.
    let headings = headings(what);
    let aligned = |cells: Vec<String>| {
        let lines = cells.into_iter().zip(&headings).map(|(cell, heading)| {
            match heading.starts_with('>') {
                true => Line::from(cell).right_aligned(),
                false => Line::from(cell),
            }
        });
        Row::new(lines.collect::<Vec<_>>())
    };
    let titles = headings
        .iter()
        .map(|heading| heading.trim_start_matches('>').to_string());
    let header = aligned(titles.collect()).style(Style::new().bold());
    let body: Vec<Row<'_>> = rows(rates).into_iter().map(aligned).collect();
    Table::new(body, widths)
        .header(header)
        .block(Block::bordered())
}

pub fn draw(frame: &mut Frame<'_>, rates: &Rates) {
    let nics = Constraint::Length(rates.nics.len() as u16 + 3);
    let layout = Layout::vertical([nics, Constraint::Min(4), Constraint::Length(1)]);
    let [above, below, foot] = layout.areas(frame.area());
    frame.render_widget(block("NIC", &rates.nics), above);
    frame.render_widget(block("CONTROLLER", &rates.owners), below);
    let note = rates
        .blind
        .first()
        .map_or("q ends".into(), |why| format!("not known: {why}"));
    frame.render_widget(Line::from(note).dim(), foot);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::backend::TestBackend;
    use ratatui::Terminal;

    fn rates() -> Rates {
        let rate = |name: &str, sent| Rate {
            name: name.into(),
            paths: 2,
            sent,
            rtt_us: Some((400, 1500)),
            ..Rate::default()
        };
        Rates {
            nics: vec![rate("eth0", 2048.0), rate("eth1", 1024.0)],
            owners: vec![rate("nvme0", 3072.0)],
            blind: Vec::new(),
        }
    }

    #[test]
    fn bars_are_in_proportion() {
        let rows = rows(&rates().nics);
        assert_eq!(rows[0][7].len(), BAR);
        assert_eq!(rows[1][7].len(), BAR / 2);
        assert_eq!(rows[0][5], "400 us to 1.5 ms");
    }

    #[test]
    fn a_frame_fits_any_terminal() {
        for (width, height) in [(120, 20), (40, 5), (1, 1)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &rates())).unwrap();
            let screen = terminal.backend().to_string();
            if width == 120 {
                assert!(
                    screen.contains("eth1") && screen.contains("nvme0"),
                    "{screen}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_said() {
        assert!(text(&Rates::default()).starts_with("no NVMe"));
    }
}
