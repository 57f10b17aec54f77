//! Secrets from people and from pipes. Nothing that is typed is shown.

use std::io::{self, IsTerminal, Read};

use whimbrel_wire::Secret;

use crate::problem::{Problem, Result};

/// Bytes of a secret at most.
const LONGEST: u64 = 64 << 10;

/// Whether there is somebody to ask.
pub fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on the terminal.
pub fn typed(question: &str) -> Result<Secret> {
    let answer = rpassword::prompt_password(format!("{question}: "));
    let answer = answer.map_err(|error| Problem::failed(format!("cannot ask on the terminal: {error}")))?;
    whole(answer)
}

/// Asks twice, for something new.
pub fn typed_twice(question: &str) -> Result<Secret> {
    let first = typed(question)?;
    if typed(&format!("{question}, once more"))? != first {
        return Err(Box::new(Problem::usage("the two are not the same").help("try again")));
    }
    Ok(first)
}

/// Asks on the terminal; where there is none, reads all of standard input, without a line end at its end.
pub fn typed_or_piped(question: &str, twice: bool) -> Result<Secret> {
    match (has_terminal(), twice) {
        (true, true) => typed_twice(question),
        (true, false) => typed(question),
        (false, _) => piped(&mut io::stdin().lock()),
    }
}

fn piped(input: &mut dyn Read) -> Result<Secret> {
    let failed = |why: String| {
        let problem = Problem::usage(format!("cannot read the secret from standard input: {why}"));
        Box::new(problem.help("pipe it in, e.g. `whimbrel secrets set NAME < file`, or run this on a terminal"))
    };
    let mut text = String::new();
    let read = input.take(LONGEST + 1).read_to_string(&mut text);
    let secret = Secret::new(text);
    let read = read.map_err(|error| failed(error.to_string()))?;
    if read as u64 > LONGEST {
        return Err(failed("it is over 64 KiB".to_owned()));
    }
    let line = secret.expose();
    let line = line
        .strip_suffix('\n')
        .map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    whole(line.to_owned())
}

fn whole(text: String) -> Result<Secret> {
    match text.is_empty() {
        true => Err(Box::new(
            Problem::usage("nothing was given").help("give the secret, and nothing else"),
        )),
        false => Ok(Secret::new(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_piped_loses_one_line_end_and_nothing_else() {
        for (text, secret) in [("x\n", "x"), (" x y \r\n", " x y "), ("x\n\n", "x\n"), ("x", "x")] {
            assert_eq!(piped(&mut text.as_bytes()).unwrap().expose(), secret);
        }
        for bad in [&b""[..], b"\n", b"\xff", &vec![b'x'; 70_000]] {
            let problem = piped(&mut &*bad).unwrap_err();
            assert!(problem.has_help() && !problem.render().contains("xxx"));
        }
    }
}
