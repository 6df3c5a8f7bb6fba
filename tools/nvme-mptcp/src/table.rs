// SPDX-License-Identifier: GPL-2.0

//! Output: text, tables, JSON, and numbers for people.

use anyhow::Result;
use comfy_table::{presets, CellAlignment, Table};
use serde::Serialize;
use std::io::{ErrorKind, Write};

/// Prints. A reader that has seen enough (head) is no error.
pub fn out(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

pub fn json(value: &impl Serialize) -> Result<()> {
    out(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Columns without lines, indented; a heading with '>' in front is that of a column of numbers.
pub fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(
        headings
            .iter()
            .map(|heading| heading.trim_start_matches('>')),
    );
    table.add_rows(rows);
    for (index, heading) in headings.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((2, 0));
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
        .lines()
        .map(|line| line.trim_end().to_string() + "\n")
        .collect()
}

pub fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            let decimals = usize::from(unit != "B");
            return format!("{value:.decimals$} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

pub fn microseconds(time: u32) -> String {
    match time {
        0 => "-".into(),
        1..1000 => format!("{time} us"),
        _ => format!("{:.1} ms", f64::from(time) / 1000.0),
    }
}

/// A part of a whole in per cent; nothing of nothing is a dash.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        "-".into()
    } else {
        format!("{:.1} %", part as f64 * 100.0 / whole as f64)
    }
}

/// "1 path", "2 paths"
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 40), "5.0 TiB");
        assert_eq!(microseconds(999), "999 us");
        assert_eq!(microseconds(1500), "1.5 ms");
        assert_eq!(share(1, 4), "25.0 %");
        assert_eq!(share(0, 0), "-");
        assert_eq!(count(1, "path"), "1 path");
        assert_eq!(count(0, "path"), "0 paths");
    }

    #[test]
    fn columns() {
        let text = table(
            &["NAME", ">N"],
            [vec!["a".into(), "1".into()], vec!["bb".into(), "22".into()]],
        );
        assert_eq!(text, "  NAME   N\n  a      1\n  bb    22\n");
    }
}
