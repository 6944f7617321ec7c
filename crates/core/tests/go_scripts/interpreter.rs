//! As much of Go's script engine (`cmd/internal/script`) as these scripts use.

use regex::{Regex, RegexBuilder};

use crate::fake_go::{self, Outcome, Output};
use crate::world::World;

/// How many assertions were made, and how many could not be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub checked: usize,
    pub skipped: usize,
}

/// How much of the last `go` command is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    All,
    Selection,
    Nothing,
}

/// A script that runs.
pub struct Interpreter<'a> {
    name: &'a str,
    world: World,
    last: Output,
    known: Known,
    counts: Counts,
}

/// Whether the script goes on.
enum Flow {
    On,
    Stop,
}

impl<'a> Interpreter<'a> {
    /// Runs a script to its end.
    pub fn run(name: &'a str, text: &str) -> Counts {
        let (script, files) = split_archive(text);
        let mut interpreter = Interpreter {
            name,
            world: World::new(&files),
            last: Output::default(),
            known: Known::Nothing,
            counts: Counts::default(),
        };
        for (at, line) in script.lines().enumerate() {
            match interpreter.line(line, at + 1) {
                Flow::On => {}
                Flow::Stop => break,
            }
        }
        interpreter.counts
    }

    fn line(&mut self, line: &str, number: usize) -> Flow {
        let mut rest = line.trim();
        while let Some((condition, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']'))
        {
            if !holds(condition) {
                return Flow::On;
            }
            rest = after.trim();
        }
        let is_negated = rest.starts_with("! ");
        let rest = rest.strip_prefix("! ").unwrap_or(rest);
        let is_pattern = ["stdout ", "stderr ", "grep "].iter().any(|verb| rest.starts_with(verb));
        let words = self.words(rest, is_pattern);
        let Some((verb, arguments)) = words.split_first() else { return Flow::On };
        let place = format!("{}:{number}: {line}", self.name);
        match verb.as_str() {
            "go" => self.go(arguments, is_negated, &place),
            "stdout" | "stderr" => self.output(verb, arguments, is_negated, &place),
            "grep" => self.grep(arguments, is_negated, &place),
            "skip" | "stop" => return Flow::Stop,
            _ => self.file_command(verb, arguments, &place),
        }
        Flow::On
    }

    fn go(&mut self, arguments: &[String], is_negated: bool, place: &str) {
        (self.last, self.known) = match fake_go::run(&mut self.world, arguments) {
            Outcome::Done(output) => (output, Known::All),
            Outcome::SelectionOnly(output) => (output, Known::Selection),
            Outcome::Unknown => (Output::default(), Known::Nothing),
        };
        if self.known == Known::All {
            self.assert(self.last.is_success != is_negated, place);
        } else {
            self.counts.skipped += 1;
        }
    }

    /// `stdout [-count=N] PATTERN`
    fn output(&mut self, stream: &str, arguments: &[String], is_negated: bool, place: &str) {
        let count: Option<usize> =
            arguments[0].strip_prefix("-count=").map(|count| count.parse().unwrap());
        let pattern = arguments.last().expect("a pattern follows");
        // Lines of the trace come of the selection; everything else comes later.
        let is_trace = ["upgrading toolchain", "using go"].iter().any(|it| pattern.contains(it));
        let is_known = match self.known {
            Known::All => true,
            Known::Selection => is_trace,
            Known::Nothing => false,
        };
        if !is_known {
            self.counts.skipped += 1;
            return;
        }
        let text = if stream == "stdout" { &self.last.stdout } else { &self.last.stderr };
        let matches = regex(pattern).find_iter(text).count();
        let holds = match count {
            Some(count) => matches == count,
            None => (matches > 0) != is_negated,
        };
        self.assert(holds, place);
    }

    fn grep(&mut self, arguments: &[String], is_negated: bool, place: &str) {
        let [pattern, file] = arguments else { panic!("{place}") };
        let text = self.world.text(file).unwrap_or_default();
        self.assert(regex(pattern).is_match(text) != is_negated, place);
    }

    fn assert(&mut self, holds: bool, place: &str) {
        let Output { stdout, stderr, .. } = &self.last;
        assert!(holds, "{place}\nstdout: {stdout}\nstderr: {stderr}\nworld: {:#?}", self.world);
        self.counts.checked += 1;
    }

    fn file_command(&mut self, verb: &str, arguments: &[String], place: &str) {
        match (verb, arguments) {
            ("env", [assignment]) => {
                let (name, value) = assignment.split_once('=').expect("NAME=value");
                self.world.set(name, value);
            }
            ("mkdir", [path]) => drop(self.world.folders.insert(self.world.path(path))),
            ("rm", [path]) => drop(self.world.files.remove(&self.world.path(path))),
            ("cd", [path]) => self.world.folder = self.world.path(path),
            ("chmod", _) => {}
            _ => panic!("{place}: the interpreter does not know this command"),
        }
    }

    /// The words of a line: quotes taken off, comments dropped, variables filled in; in a pattern
    /// their values stand for themselves.
    fn words(&self, line: &str, is_pattern: bool) -> Vec<String> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut characters = line.chars().peekable();
        let mut is_quoted = false;
        while let Some(c) = characters.next() {
            match c {
                '\'' => {
                    is_quoted = !is_quoted;
                    word.get_or_insert_default();
                }
                '#' if !is_quoted && word.is_none() => break,
                ' ' | '\t' if !is_quoted => words.extend(word.take()),
                '$' if !is_quoted => {
                    let mut name = String::new();
                    let is_name = |c: &char| c.is_alphanumeric() || "_{}/".contains(*c);
                    let is_braced = characters.peek() == Some(&'{');
                    while let Some(c) =
                        characters.next_if(|c| is_name(c) && (is_braced || *c != '/'))
                    {
                        name.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                    let value = self.world.get(name.trim_matches(['{', '}']));
                    let value = if is_pattern { regex::escape(value) } else { value.to_owned() };
                    word.get_or_insert_default().push_str(&value);
                }
                c => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }
}

/// The script and the files behind it (`golang.org/x/tools/txtar`).
fn split_archive(text: &str) -> (String, Vec<(String, String)>) {
    let mut script = String::new();
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
            files.push((name.to_owned(), String::new()));
            continue;
        }
        let target = files.last_mut().map_or(&mut script, |(_, content)| content);
        target.push_str(line);
        target.push('\n');
    }
    (script, files)
}

fn holds(condition: &str) -> bool {
    match condition {
        "!GOOS:plan9" => true,
        "short" | "GOOS:plan9" | "!exec:/bin/sh" => false,
        other => panic!("the interpreter does not know the condition [{other}]"),
    }
}

fn regex(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).multi_line(true).build().expect("the scripts' patterns are valid")
}
