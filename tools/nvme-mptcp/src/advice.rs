// SPDX-License-Identifier: GPL-2.0

//! Errors that name what to do next.

use anyhow::Error;
use std::fmt;

/// A cause in the chain of an error that is advice, printed on a line of its own.
#[derive(Debug)]
pub struct Advice {
    what: String,
    advice: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

impl std::error::Error for Advice {}

pub fn error(what: impl Into<String>, advice: impl Into<String>) -> Error {
    Advice {
        what: what.into(),
        advice: advice.into(),
    }
    .into()
}

/// What the user is told of an error.
pub fn tell(error: &Error) {
    eprintln!("nvme-mptcp: error: {error:#}");
    if let Some(advice) = error.downcast_ref::<Advice>() {
        eprintln!("nvme-mptcp: try: {}", advice.advice);
    } else if let Some(advice) = errno(error).and_then(of_errno) {
        eprintln!("nvme-mptcp: try: {advice}");
    }
}

/// What does not keep the rest from being done.
pub fn warn(what: &str) {
    eprintln!("nvme-mptcp: warning: {what}");
}

pub fn errno(error: &Error) -> Option<i32> {
    let io = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.and_then(std::io::Error::raw_os_error)
}

fn of_errno(errno: i32) -> Option<&'static str> {
    match errno {
        // EPERM, EACCES
        1 | 13 => Some("the same as root"),
        _ => None,
    }
}
